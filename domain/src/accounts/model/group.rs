//! Matrices: named trees of groups, and who reaches which part of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{clock::Timestamp, ids::GroupId};

/// Most groups of a tenant, all its matrices together.
pub const GROUPS_MAX: u32 = 2_000;

/// Most levels of a matrix, the matrix itself included.
pub const GROUP_LEVELS_MAX: u32 = 8;

/// A group of a matrix; one without a parent is a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What it is part of.
    pub parent: Option<GroupId>,
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u32,
}

/// All groups of a tenant, as trees.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    groups: BTreeMap<GroupId, Group>,
}

impl Matrix {
    /// Takes all groups of a tenant.
    pub fn of(groups: impl IntoIterator<Item = Group>) -> Self {
        Self { groups: groups.into_iter().map(|group| (group.id, group)).collect() }
    }

    /// One group.
    pub fn get(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The group and all above it, itself first.
    pub fn way_up(&self, id: GroupId) -> Vec<&Group> {
        let mut way = Vec::new();
        let mut next = self.groups.get(&id);
        // Bounded, so that rows nobody made through here can't send it round in circles.
        while let Some(group) = next
            && way.len() <= self.groups.len()
        {
            way.push(group);
            next = group.parent.and_then(|parent| self.groups.get(&parent));
        }
        way
    }

    /// The group and all below it.
    pub fn below(&self, id: GroupId) -> BTreeSet<GroupId> {
        let of = |group: &&GroupId| self.way_up(**group).iter().any(|above| above.id == id);
        self.groups.keys().filter(of).copied().collect()
    }

    /// Whether a group (or a new one, `None`) may stand below `parent`: not below itself, and not too deep.
    pub fn may_stand(&self, group: Option<GroupId>, parent: Option<GroupId>) -> bool {
        let above = parent.map_or(0, |parent| self.way_up(parent).len());
        let (depth, inside) = match group {
            None => (1, false),
            Some(group) => {
                let below = self.below(group);
                let level = self.way_up(group).len();
                let deepest = below.iter().map(|below| self.way_up(*below).len()).max().unwrap_or(level);
                (deepest + 1 - level, parent.is_some_and(|parent| below.contains(&parent)))
            }
        };
        let levels = u32::try_from(above + depth).unwrap_or(u32::MAX);
        !inside && levels <= GROUP_LEVELS_MAX
    }

    /// All groups, parents before children and then by name.
    pub fn in_order(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_by_cached_key(|group| {
            let mut way: Vec<_> =
                self.way_up(group.id).iter().map(|above| (above.name.clone(), above.id)).collect();
            way.reverse();
            way
        });
        groups
    }
}

/// Which accounts somebody reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of the tenant's.
    All,
    /// Those in these groups.
    Groups(BTreeSet<GroupId>),
}

impl Reach {
    /// Whether an account in `group` is reached.
    pub fn holds(&self, group: Option<GroupId>) -> bool {
        match self {
            Self::All => true,
            Self::Groups(groups) => group.is_some_and(|group| groups.contains(&group)),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> GroupId {
        GroupId::from_uuid(Uuid::from_u128(number))
    }

    fn group(number: u128, parent: Option<u128>) -> Group {
        Group {
            id: id(number),
            parent: parent.map(id),
            name: format!("group {number}"),
            created_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn trees_are_walked_up_and_down() {
        let matrix = Matrix::of([
            group(1, None),
            group(2, Some(1)),
            group(3, Some(2)),
            group(4, Some(1)),
            group(5, None),
        ]);
        let up: Vec<_> = matrix.way_up(id(3)).iter().map(|group| group.id).collect();
        assert_eq!(up, [id(3), id(2), id(1)]);
        assert_eq!(matrix.below(id(1)), [1, 2, 3, 4].map(id).into());
        assert_eq!(matrix.below(id(3)), [id(3)].into());
        let order: Vec<_> = matrix.in_order().iter().map(|group| group.id).collect();
        assert_eq!(order, [1, 2, 3, 4, 5].map(id));
    }

    #[test]
    fn nothing_stands_below_itself_or_too_deep() {
        let chain = Matrix::of((1..=8).map(|n| group(n, (n > 1).then(|| n - 1))));
        assert!(!chain.may_stand(None, Some(id(8))), "a ninth level");
        assert!(chain.may_stand(None, Some(id(7))));
        assert!(!chain.may_stand(Some(id(2)), Some(id(4))), "below itself");
        assert!(!chain.may_stand(Some(id(2)), Some(id(2))));
        assert!(chain.may_stand(Some(id(5)), Some(id(1))));
        assert!(chain.may_stand(Some(id(2)), None));
    }

    #[test]
    fn rows_in_a_circle_do_not_hang() {
        let circle = Matrix::of([group(1, Some(2)), group(2, Some(1))]);
        assert!(circle.way_up(id(1)).len() <= 3);
        assert_eq!(circle.in_order().len(), 2);
    }
}
