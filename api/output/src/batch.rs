//! Outcomes of batched fields, and what was asked for below them.

use std::sync::Arc;

use crate::object::nothing;
use async_graphql::{Error, ServerError};

use crate::plan::Plan;
use crate::value::{Level, Output, SelectionContext};
use crate::writer::{Writer, Wrote};

/// What was asked for at one level: an entry for each step of the plan that needed it, in order.
#[derive(Default)]
pub struct Found {
    pub(crate) steps: Vec<Later>,
}

pub(crate) enum Later {
    /// Below a plain field.
    Plain(Found),
    /// A batched field, with the number of the next parent to be written.
    Batched { values: Arc<dyn Values>, below: Found, next: usize },
}

/// The outcomes of one call, one a parent.
pub trait Values: Send + Sync {
    /// Asks for what is below all of them.
    fn below<'v>(&'v self, plan: &'v Plan<'v>, ctx: &'v SelectionContext<'v>) -> Level<'v>;

    /// Writes the outcome of one parent.
    ///
    /// # Errors
    /// As [`Output::write`].
    fn write<'a>(
        &self,
        parent: usize,
        plan: Option<&Plan<'a>>,
        found: &mut Found,
        out: &mut Writer<'a>,
    ) -> Wrote;
}

enum Refusal {
    /// Of the call, for every parent.
    Call(Error),
    /// Of an argument, which has its own place in the document.
    Argument(ServerError),
}

/// The outcomes of one call, as the call returned them.
pub struct Answered<X>(Result<Vec<X>, Refusal>);

impl<X: Output + 'static> Answered<X> {
    /// From what the function returned for so many parents. Another number of outcomes than parents is a mistake in
    /// that function and fails all of them, rather than give one parent another's.
    pub fn of(outcomes: Result<Vec<X>, Error>, parents: usize) -> Arc<dyn Values> {
        Arc::new(match outcomes {
            Ok(outcomes) if outcomes.len() != parents => {
                tracing::error!(outcomes = outcomes.len(), parents, "a batched field has lost count");
                Self(Err(Refusal::Call(Error::new("internal error"))))
            }
            Ok(outcomes) => Self(Ok(outcomes)),
            Err(error) => Self(Err(Refusal::Call(error))),
        })
    }

    /// When an argument was refused and the function was not called.
    pub fn refused(error: ServerError) -> Arc<dyn Values> {
        Arc::new(Self(Err(Refusal::Argument(error))))
    }
}

impl<X: Output> Values for Answered<X> {
    fn below<'v>(&'v self, plan: &'v Plan<'v>, ctx: &'v SelectionContext<'v>) -> Level<'v> {
        match &self.0 {
            Ok(outcomes) => X::level(outcomes.iter().collect(), plan, ctx),
            Err(_) => nothing(),
        }
    }

    fn write<'a>(
        &self,
        parent: usize,
        plan: Option<&Plan<'a>>,
        found: &mut Found,
        out: &mut Writer<'a>,
    ) -> Wrote {
        let mark = out.mark();
        let failed = match &self.0 {
            Ok(outcomes) => match outcomes.get(parent) {
                Some(outcome) => return outcome.write(plan, found, out),
                None => out.fail(Error::new("internal error")),
            },
            Err(Refusal::Call(error)) => out.fail(error.clone()),
            Err(Refusal::Argument(error)) => out.fail_with(error.clone()),
        };
        if !X::NULLABLE {
            return Err(failed);
        }
        out.null_instead(mark);
        Ok(())
    }
}
