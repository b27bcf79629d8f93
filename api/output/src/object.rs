//! Objects: their fields, how they are written, and what is asked for at their level.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, OutputType};
use futures_util::future::{BoxFuture, FutureExt as _, join_all, ready};
use tracing::Instrument as _;

use crate::batch::{Answered, Found, Later, Values};
use crate::plan::{AstField, Kind, Plan, Planned, Planner, Step};
use crate::value::{Level, Output, SelectionContext};
use crate::writer::{Failed, Writer, Wrote};

/// How a field comes by its value. `is_priced` is set where the schema may give the field a weight of its own: how often
/// such a leaf was written is noted.
#[derive(Clone, Copy, Debug)]
pub enum Handle {
    /// A field of the struct.
    Stored {
        /// Its number among those.
        id: u16,
        /// Whether the schema may give it a weight.
        is_priced: bool,
    },
    /// A method on the object.
    Computed {
        /// Its number among the extra fields.
        id: u16,
        /// Whether the schema may give it a weight.
        is_priced: bool,
    },
    /// A function over all objects of a level.
    Batched {
        /// Its number among the extra fields.
        id: u16,
        /// Whether the schema may give it a weight.
        is_priced: bool,
    },
}

impl Handle {
    const fn is_priced(self) -> bool {
        match self {
            Self::Stored { is_priced, .. }
            | Self::Computed { is_priced, .. }
            | Self::Batched { is_priced, .. } => is_priced,
        }
    }
}

/// A call of a batched field.
pub type Call<'v> = BoxFuture<'v, Arc<dyn Values>>;

/// A level with nothing to ask for.
pub fn nothing<'v>() -> Level<'v> {
    ready(Found::default()).boxed()
}

/// A call of a field that is not there.
pub fn no_call<'v>(parents: usize) -> Call<'v> {
    ready(Answered::<Option<bool>>::of(Ok(Vec::new()), parents)).boxed()
}

/// Fields that are no fields of the struct. Implemented by `#[output::fields]`, or empty by the derive. What a method
/// does with a number no field has does not matter: none asks.
pub trait Fields: Sized + Send + Sync {
    /// The field of this name in the schema, if it can be written.
    fn extra_field(_name: &str) -> Option<Handle> {
        None
    }

    /// The plan below a field.
    ///
    /// # Errors
    /// When the selection has to be left to async-graphql.
    fn plan_extra<'a>(_id: u16, _planner: &mut Planner<'a>, _fields: &[&'a AstField]) -> Planned<'a> {
        Ok(None)
    }

    /// Writes a computed field.
    ///
    /// # Errors
    /// As [`Output::write`].
    fn write_extra<'a>(
        &self,
        _id: u16,
        _below: Option<&Plan<'a>>,
        _found: &mut Found,
        out: &mut Writer<'a>,
    ) -> Wrote {
        out.null();
        Ok(())
    }

    /// The level below a computed field.
    fn level_extra<'v>(
        _id: u16,
        _parents: Vec<&'v Self>,
        _below: &'v Plan<'v>,
        _ctx: &'v SelectionContext<'v>,
    ) -> Level<'v> {
        nothing()
    }

    /// Asks a batched field of all parents of a level.
    fn call<'v>(_id: u16, parents: &'v [&'v Self], _ctx: &'v Context<'v>) -> Call<'v> {
        no_call(parents.len())
    }
}

/// An object whose struct fields can be written. Derive it.
pub trait Object: Fields + Output + OutputType + Sized {
    /// The struct field of this name in the schema, if it can be written.
    fn field(name: &str) -> Option<Handle>;

    /// The plan below a field.
    ///
    /// # Errors
    /// When the selection has to be left to async-graphql.
    fn plan_field<'a>(id: u16, planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a>;

    /// Writes a field.
    ///
    /// # Errors
    /// As [`Output::write`].
    fn write_field<'a>(
        &self,
        id: u16,
        below: Option<&Plan<'a>>,
        found: &mut Found,
        out: &mut Writer<'a>,
    ) -> Wrote;

    /// The level below a field.
    fn level_field<'v>(
        id: u16,
        parents: Vec<&'v Self>,
        below: &'v Plan<'v>,
        ctx: &'v SelectionContext<'v>,
    ) -> Level<'v>;
}

/// [`Output::plan`] of an object.
///
/// # Errors
/// When the selection has to be left to async-graphql.
pub fn plan_object<'a, T: Object>(planner: &mut Planner<'a>, fields: &[&'a AstField]) -> Planned<'a> {
    planner.object::<T>(fields)
}

/// [`Output::write`] of an object.
///
/// # Errors
/// As [`Output::write`].
pub fn write_object<'a, T: Object>(
    object: &T,
    plan: Option<&Plan<'a>>,
    found: &mut Found,
    out: &mut Writer<'a>,
) -> Wrote {
    // Every object is planned; without a plan there is nothing to say of it.
    let Some(plan) = plan else {
        out.null();
        return Ok(());
    };
    out.journal.push(plan.place);
    out.text.push(b'{');
    let mut later = found.steps.iter_mut();
    let mut failure: Option<Failed> = None;
    let outer = out.pos;
    for step in &plan.steps {
        out.text.extend_from_slice(&step.lead);
        out.enter(step.key());
        out.pos = step.field.pos;
        let wrote = write_step(object, step, &mut later, out);
        out.leave();
        out.keep_first(&mut failure, wrote);
    }
    out.pos = outer;
    out.text.push(b'}');
    out.settle(failure)
}

fn write_step<'a, T: Object>(
    object: &T,
    step: &Step<'a>,
    later: &mut std::slice::IterMut<'_, Later>,
    out: &mut Writer<'a>,
) -> Wrote {
    let (handle, below) = match &step.kind {
        Kind::TypeName => {
            let name: Cow<'static, str> = object.introspection_type_name();
            return name.write(None, &mut Found::default(), out);
        }
        Kind::Known { handle, below } => (*handle, below.as_ref()),
    };
    let leaves = out.leaves();
    let mut nothing = Later::Plain(Found::default());
    let found = if step.is_deep() { later.next().unwrap_or(&mut nothing) } else { &mut nothing };
    let wrote = match (handle, found) {
        (Handle::Stored { id, .. }, Later::Plain(found)) => object.write_field(id, below, found, out),
        (Handle::Computed { id, .. }, Later::Plain(found)) => object.write_extra(id, below, found, out),
        (Handle::Batched { .. }, Later::Batched { values, below: found, next }) => {
            let index = *next;
            *next += 1;
            values.write(index, below, found, out)
        }
        // Resolving and writing follow the same plan.
        (Handle::Stored { .. } | Handle::Computed { .. }, Later::Batched { .. })
        | (Handle::Batched { .. }, Later::Plain(_)) => {
            Err(out.fail(async_graphql::Error::new("internal error")))
        }
    };
    if handle.is_priced() && below.is_none() {
        let written = out.leaves() - leaves;
        out.journal.extend(std::iter::repeat_n(step.place, written));
    }
    wrote
}

/// [`Output::level`] of an object: each batched field is asked once for all `parents`, twice only with other arguments.
pub fn level_object<'v, T: Object>(
    parents: Vec<&'v T>,
    plan: &'v Plan<'v>,
    ctx: &'v SelectionContext<'v>,
) -> Level<'v> {
    if parents.is_empty() || !plan.is_deep {
        return nothing();
    }
    async move {
        let parents = &parents;
        let mut asked: Vec<(u16, Vec<(usize, &Step<'v>)>)> = Vec::new();
        let mut levels = Vec::new();
        for (index, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.is_deep()) {
            let Kind::Known { handle, below } = &step.kind else { continue };
            match (handle, below) {
                (Handle::Batched { id, .. }, _) => {
                    let same = |group: &&mut (u16, Vec<(usize, &Step<'v>)>)| {
                        group.0 == *id && group.1[0].1.field.node.arguments == step.field.node.arguments
                    };
                    match asked.iter_mut().find(same) {
                        Some(group) => group.1.push((index, step)),
                        None => asked.push((*id, vec![(index, step)])),
                    }
                }
                (Handle::Stored { .. } | Handle::Computed { .. }, Some(below)) => {
                    levels.push(level_below(*handle, (index, step), parents, below, ctx));
                }
                (Handle::Stored { .. } | Handle::Computed { .. }, None) => {}
            }
        }
        let calls = asked.into_iter().map(|(id, steps)| call::<T>(id, steps, parents, ctx));
        let (levels, calls) = futures_util::join!(join_all(levels), join_all(calls));
        let mut found: Vec<_> = levels.into_iter().chain(calls.into_iter().flatten()).collect();
        found.sort_unstable_by_key(|(index, _)| *index);
        Found { steps: found.into_iter().map(|(_, later)| later).collect() }
    }
    .boxed()
}

/// A plain field with something to ask for below it.
fn level_below<'p, T: Object>(
    handle: Handle,
    (index, step): (usize, &'p Step<'p>),
    parents: &'p [&'p T],
    below: &'p Plan<'p>,
    ctx: &'p SelectionContext<'p>,
) -> BoxFuture<'p, (usize, Later)> {
    async move {
        let ctx = ctx.with_field(step.field);
        let ctx = ctx.with_selection_set(&step.field.node.selection_set);
        let parents = parents.to_vec();
        let found = match handle {
            Handle::Stored { id, .. } => T::level_field(id, parents, below, &ctx).await,
            Handle::Computed { id, .. } | Handle::Batched { id, .. } => {
                T::level_extra(id, parents, below, &ctx).await
            }
        };
        (index, Later::Plain(found))
    }
    .boxed()
}

/// One call of a batched field, for all keys that ask the same of it, and what is below each.
async fn call<'p, T: Object>(
    id: u16,
    steps: Vec<(usize, &'p Step<'p>)>,
    parents: &'p [&'p T],
    ctx: &'p SelectionContext<'p>,
) -> Vec<(usize, Later)> {
    let field = steps[0].1.field;
    let span = tracing::debug_span!(
        "graphql.batch",
        parent_type = %<T as OutputType>::type_name(),
        field = %field.node.name.node,
        parents = parents.len(),
    );
    let field_ctx = ctx.with_field(field);
    let values = T::call(id, parents, &field_ctx).instrument(span).await;
    let below = steps.into_iter().map(|(index, step)| {
        let values = Arc::clone(&values);
        async move {
            let below = match &step.kind {
                Kind::Known { below: Some(below), .. } if below.is_deep => {
                    let ctx = ctx.with_field(step.field);
                    let ctx = ctx.with_selection_set(&step.field.node.selection_set);
                    values.below(below, &ctx).await
                }
                Kind::Known { .. } | Kind::TypeName => Found::default(),
            };
            (index, Later::Batched { values, below, next: 0 })
        }
    });
    join_all(below).await
}
