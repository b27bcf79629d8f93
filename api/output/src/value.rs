//! What can be written, and how nulls, lists and failures are.

use std::sync::Arc;

use async_graphql::{ContextSelectionSet, Error};
use futures_util::future::BoxFuture;

use crate::batch::Found;
use crate::object::nothing;
use crate::plan::{AstField, Plan, Planned, Planner};
use crate::writer::{Failed, Writer, Wrote};

/// Where in a request a level is resolved.
pub type SelectionContext<'a> = ContextSelectionSet<'a>;

/// What was asked for at one level and below.
pub type Level<'v> = BoxFuture<'v, Found>;

/// A value that can be written out. Derive it for objects and enums.
///
/// A value is planned from the document, then levels below it are resolved, then it is written. The last two visit the
/// same values in the same order.
pub trait Output: Send + Sync {
    /// Whether a failure ends here, as null.
    const NULLABLE: bool = false;

    /// The plan for the fields of one key. Leaves need none.
    ///
    /// # Errors
    /// When the selection has to be left to async-graphql.
    fn plan<'a>(_planner: &mut Planner<'a>, _fields: &[&'a AstField]) -> Planned<'a> {
        Ok(None)
    }

    /// Asks for everything below `values` that has to be asked for.
    fn level<'v>(_values: Vec<&'v Self>, _plan: &'v Plan<'v>, _ctx: &'v SelectionContext<'v>) -> Level<'v> {
        nothing()
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it failed and can't be null: what is written since it began is to be undone by a nullable value around it.
    fn write<'a>(&self, plan: Option<&Plan<'a>>, found: &mut Found, out: &mut Writer<'a>) -> Wrote;
}

impl<T: Output> Output for Option<T> {
    const NULLABLE: bool = true;

    fn plan<'a>(planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a> {
        T::plan(planner, fields)
    }

    fn level<'v>(values: Vec<&'v Self>, plan: &'v Plan<'v>, ctx: &'v SelectionContext<'v>) -> Level<'v> {
        T::level(values.into_iter().flatten().collect(), plan, ctx)
    }

    fn write<'a>(&self, plan: Option<&Plan<'a>>, found: &mut Found, out: &mut Writer<'a>) -> Wrote {
        let Some(value) = self else {
            out.null();
            return Ok(());
        };
        let mark = out.mark();
        if value.write(plan, found, out).is_err() {
            out.null_instead(mark);
        }
        Ok(())
    }
}

impl<T: Output, E: Into<Error> + Clone + Send + Sync> Output for Result<T, E> {
    const NULLABLE: bool = T::NULLABLE;

    fn plan<'a>(planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a> {
        T::plan(planner, fields)
    }

    fn level<'v>(values: Vec<&'v Self>, plan: &'v Plan<'v>, ctx: &'v SelectionContext<'v>) -> Level<'v> {
        T::level(values.into_iter().flatten().collect(), plan, ctx)
    }

    fn write<'a>(&self, plan: Option<&Plan<'a>>, found: &mut Found, out: &mut Writer<'a>) -> Wrote {
        match self {
            Ok(value) => value.write(plan, found, out),
            // As in async-graphql, an error in place of a nullable value is an error of what is around it.
            Err(error) => Err(out.fail(error.clone().into())),
        }
    }
}

impl<T: Output> Output for Vec<T> {
    fn plan<'a>(planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a> {
        T::plan(planner, fields)
    }

    fn level<'v>(values: Vec<&'v Self>, plan: &'v Plan<'v>, ctx: &'v SelectionContext<'v>) -> Level<'v> {
        T::level(values.into_iter().flatten().collect(), plan, ctx)
    }

    fn write<'a>(&self, plan: Option<&Plan<'a>>, found: &mut Found, out: &mut Writer<'a>) -> Wrote {
        out.open_list();
        let mut failure: Option<Failed> = None;
        for (index, item) in self.iter().enumerate() {
            out.open_item(index);
            let wrote = item.write(plan, found, out);
            out.close_item();
            out.keep_first(&mut failure, wrote);
        }
        out.close_list();
        out.settle(failure)
    }
}

/// Pointers are written as what they point to.
macro_rules! pointer {
    ($($pointer:ty),*) => { $(
        impl<T: Output> Output for $pointer {
            const NULLABLE: bool = T::NULLABLE;

            fn plan<'a>(planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a> {
                T::plan(planner, fields)
            }

            fn level<'v>(
                values: Vec<&'v Self>,
                plan: &'v Plan<'v>,
                ctx: &'v SelectionContext<'v>,
            ) -> Level<'v> {
                T::level(values.into_iter().map(|value| &**value).collect(), plan, ctx)
            }

            fn write<'a>(
                &self,
                plan: Option<&Plan<'a>>,
                found: &mut Found,
                out: &mut Writer<'a>,
            ) -> Wrote {
                T::write(self, plan, found, out)
            }
        }
    )* };
}

pointer!(&T, Box<T>, Arc<T>);
