//! What of an object is to be written: the selections on it, fragments expanded and same keys merged.

use std::collections::HashMap;

use async_graphql::parser::types::{Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::registry::{MetaType, Registry};
use async_graphql::{Name, Positioned};

use crate::object::{Handle, Object};

/// A field as it stands in the document.
pub type AstField = Positioned<Field>;

/// Why a selection is left to async-graphql: it has a directive, or names a field that can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unplannable;

/// A plan for a composite value, none for a leaf.
pub type Planned<'a> = Result<Option<Plan<'a>>, Unplannable>;

/// The steps that write one object, in the order of the answer.
pub struct Plan<'a> {
    pub(crate) steps: Vec<Step<'a>>,
    /// Which place of the answer it is, among those of its planner.
    pub(crate) place: usize,
    /// Whether something has to be asked for before it can be written.
    pub(crate) is_deep: bool,
}

/// One key of an object.
pub(crate) struct Step<'a> {
    /// The key as it is written, with quotes, colon and the comma before it.
    pub(crate) lead: Box<[u8]>,
    /// The first of the document's fields with this key; all have its name and arguments.
    pub(crate) field: &'a AstField,
    pub(crate) place: usize,
    pub(crate) kind: Kind<'a>,
}

pub(crate) enum Kind<'a> {
    TypeName,
    Known { handle: Handle, below: Option<Plan<'a>> },
}

impl<'a> Step<'a> {
    pub(crate) fn key(&self) -> &'a str {
        self.field.node.response_key().node.as_str()
    }

    /// Whether something has to be asked for before it can be written.
    pub(crate) fn is_deep(&self) -> bool {
        match &self.kind {
            Kind::TypeName => false,
            Kind::Known { handle: Handle::Batched { .. }, .. } => true,
            Kind::Known { below, .. } => below.as_ref().is_some_and(|below| below.is_deep),
        }
    }
}

/// A place of the answer: a key below another place, whatever lists lie between.
pub(crate) struct Place<'a> {
    pub(crate) parent: usize,
    pub(crate) key: &'a str,
}

/// Makes the plans of one written value.
pub struct Planner<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    registry: &'a Registry,
    /// Parents come before their children. The first is the written value itself; its parent and key mean nothing.
    pub(crate) places: Vec<Place<'a>>,
    here: usize,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
        registry: &'a Registry,
    ) -> Self {
        Self { fragments, registry, places: vec![Place { parent: 0, key: "" }], here: 0 }
    }

    /// Groups the fields that `set` selects on the object type `ty` by their keys, in the order keys first appear.
    fn collect(
        &self,
        ty: &str,
        set: &'a SelectionSet,
        groups: &mut Vec<(&'a str, Vec<&'a AstField>)>,
    ) -> Result<(), Unplannable> {
        for selection in &set.items {
            let (condition, inner) = match &selection.node {
                Selection::Field(field) => {
                    // @skip and @include are gone by now; what is left means something to async-graphql.
                    if !field.node.directives.is_empty() {
                        return Err(Unplannable);
                    }
                    let key = field.node.response_key().node.as_str();
                    match groups.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, fields)) => fields.push(field),
                        None => groups.push((key, vec![field])),
                    }
                    continue;
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.node.fragment_name.node).ok_or(Unplannable)?;
                    (Some(&fragment.node.type_condition), &fragment.node.selection_set)
                }
                Selection::InlineFragment(inline) => {
                    (inline.node.type_condition.as_ref(), &inline.node.selection_set)
                }
            };
            if condition.is_none_or(|condition| self.fits(ty, condition.node.on.node.as_str())) {
                self.collect(ty, &inner.node, groups)?;
            }
        }
        Ok(())
    }

    /// Whether a fragment on `condition` applies to objects of type `ty`.
    fn fits(&self, ty: &str, condition: &str) -> bool {
        condition == ty
            || self.registry.implements.get(ty).is_some_and(|interfaces| interfaces.contains(condition))
            || matches!(
                self.registry.types.get(condition),
                Some(MetaType::Union { possible_types, .. }) if possible_types.contains(ty)
            )
    }

    fn step<T: Object>(
        &mut self,
        key: &'a str,
        fields: &[&'a AstField],
        is_first: bool,
    ) -> Result<Step<'a>, Unplannable> {
        let field = fields[0];
        let name = &field.node.name.node;
        let is_same =
            |other: &&AstField| other.node.name.node == *name && other.node.arguments == field.node.arguments;
        if !fields.iter().all(is_same) {
            return Err(Unplannable);
        }
        let (outside, place) = (self.here, self.places.len());
        self.places.push(Place { parent: outside, key });
        self.here = place;
        let kind = if name == "__typename" {
            Kind::TypeName
        } else {
            let handle = T::field(name).or_else(|| T::extra_field(name)).ok_or(Unplannable)?;
            let below = match handle {
                Handle::Stored { id, .. } => T::plan_field(id, self, fields)?,
                Handle::Computed { id, .. } | Handle::Batched { id, .. } => T::plan_extra(id, self, fields)?,
            };
            Kind::Known { handle, below }
        };
        self.here = outside;
        let comma = if is_first { "" } else { "," };
        let lead = format!("{comma}\"{key}\":").into_bytes().into();
        Ok(Step { lead, field, place, kind })
    }

    pub(crate) fn object<T: Object>(&mut self, fields: &[&'a AstField]) -> Planned<'a> {
        let mut groups = Vec::new();
        let type_name = T::type_name();
        for field in fields {
            self.collect(&type_name, &field.node.selection_set.node, &mut groups)?;
        }
        let mut steps = Vec::with_capacity(groups.len());
        let place = self.here;
        for (key, fields) in groups {
            steps.push(self.step::<T>(key, &fields, steps.is_empty())?);
        }
        let is_deep = steps.iter().any(Step::is_deep);
        Ok(Some(Plan { steps, place, is_deep }))
    }
}
