//! Relay connections: arguments, signed cursors, pages.

use std::sync::{Arc, OnceLock};

use async_graphql::SimpleObject;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::kernel::{
    clock::Timestamp,
    page::{Direction, Key, Page, PageRequest},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use output::Output;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::error::ApiError;
use domain::kernel::ids::TenantId;

/// Rows when neither `first` nor `last` is given.
const SIZE_DEFAULT: u16 = 20;

/// Most rows at a time.
const SIZE_MAX: i32 = 100;

/// Most rows of a list that are counted; one more stands for "more".
pub(super) const COUNT_MAX: u32 = 10_001;

/// The four arguments of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct PageArgs {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

/// Signs and reads the cursors of one list: one tenant, one field, one filter. A cursor of another list is refused. Nothing
/// is computed before a cursor is read or written, which most answers do not ask for.
#[derive(Clone)]
pub(super) struct Cursors(Arc<List>);

struct List {
    key: [u8; 32],
    tenant: TenantId,
    field: &'static str,
    filter: String,
    mac: OnceLock<Hmac<Sha256>>,
}

impl Cursors {
    /// For the list `field` of `tenant` under `filter`, any text that tells filters apart.
    pub(super) fn new(
        key: &[u8; 32],
        tenant: TenantId,
        field: &'static str,
        filter: impl Into<String>,
    ) -> Self {
        Self(Arc::new(List { key: *key, tenant, field, filter: filter.into(), mac: OnceLock::new() }))
    }

    fn tag(&self, place: &[u8]) -> Hmac<Sha256> {
        let list = &*self.0;
        let mac = list.mac.get_or_init(|| {
            let mut hasher = Sha256::new();
            hasher.update(list.tenant.uuid().as_bytes());
            hasher.update(list.field.as_bytes());
            hasher.update(b"\0");
            hasher.update(list.filter.as_bytes());
            // RFC 2104 pads a key shorter than the block of 64 bytes with zeros.
            let mut block = [0; 64];
            block[..32].copy_from_slice(&list.key);
            let mut mac = Hmac::<Sha256>::new(&block.into());
            mac.update(&hasher.finalize());
            mac
        });
        let mut mac = mac.clone();
        mac.update(place);
        mac
    }

    fn write(&self, key: Key) -> String {
        let mut bytes = Vec::with_capacity(40);
        bytes.extend_from_slice(&key.at.timestamp_micros().to_be_bytes());
        bytes.extend_from_slice(key.id.as_bytes());
        let tag = self.tag(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&tag[..16]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, cursor: &str) -> Option<Key> {
        let bytes: [u8; 40] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let (place, tag) = bytes.split_at(24);
        self.tag(place).verify_truncated_left(tag).ok()?;
        let (micros, id) = place.split_first_chunk::<8>()?;
        Some(Key {
            at: Timestamp::from_timestamp_micros(i64::from_be_bytes(*micros))?,
            id: Uuid::from_slice(id).ok()?,
        })
    }

    /// What part of the list is asked for.
    pub(super) fn request(&self, args: &PageArgs) -> Result<PageRequest, ApiError> {
        let (size, direction, name) = match (args.first, args.last) {
            (Some(_), Some(_)) => return Err(ApiError::bad_input("give first or last, not both")),
            (_, None) => (args.first, Direction::Forward, "first"),
            (None, Some(last)) => (Some(last), Direction::Backward, "last"),
        };
        let limit = match size {
            None => SIZE_DEFAULT,
            Some(size) if (1..=SIZE_MAX).contains(&size) => u16::try_from(size).unwrap_or(SIZE_DEFAULT),
            Some(_) => return Err(ApiError::bad_input(format!("{name} must be 1 to {SIZE_MAX}"))),
        };
        let (cursor, other, cursor_name) = match direction {
            Direction::Forward => (&args.after, &args.before, "after"),
            Direction::Backward => (&args.before, &args.after, "before"),
        };
        if other.is_some() {
            return Err(ApiError::bad_input("first goes with after, last with before"));
        }
        let from = match cursor {
            None => None,
            Some(text) => Some(self.read(text).ok_or_else(|| {
                ApiError::bad_input(format!("{cursor_name} is not a cursor of this list with this filter"))
            })?),
        };
        Ok(PageRequest { limit, from, direction })
    }
}

/// The same part of the own list of each of many parents. A cursor is of one parent's list: with one, the other parents are
/// refused each by themselves, and without, all are asked for the same part.
pub(super) struct Parts<K>(Vec<Result<(K, Cursors, PageRequest), ApiError>>);

impl<K: Copy> Parts<K> {
    pub(super) fn new(parents: &[K], args: &PageArgs, cursors: impl Fn(K) -> Cursors) -> Self {
        let part = |parent: &K| {
            let cursors = cursors(*parent);
            let request = cursors.request(args);
            request.map(|request| (*parent, cursors, request))
        };
        Self(parents.iter().map(part).collect())
    }

    /// The parents that are not refused, and what is asked for of each; `None` when all are.
    pub(super) fn accepted(&self) -> Option<(Vec<K>, PageRequest)> {
        let accepted = || self.0.iter().flatten();
        let (_, _, request) = accepted().next()?;
        Some((accepted().map(|(parent, _, _)| *parent).collect(), *request))
    }

    /// What becomes of each, in order: `of` is asked for those that are not refused.
    pub(super) fn each<T>(
        self,
        mut of: impl FnMut(K, &Cursors, &PageRequest) -> Result<T, ApiError>,
    ) -> Vec<Result<T, ApiError>> {
        let mut each = |part: Result<(K, Cursors, PageRequest), ApiError>| {
            let (parent, cursors, request) = part?;
            of(parent, &cursors, &request)
        };
        self.0.into_iter().map(&mut each).collect()
    }
}

/// Where a row stands in its list: what its cursor says.
#[derive(Clone)]
pub(super) struct Place {
    list: Cursors,
    key: Key,
}

impl Place {
    /// The cursor of the row.
    pub(super) fn cursor(&self) -> String {
        self.list.write(self.key)
    }
}

/// Where a page stands in its list.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct PageInfo {
    /// Whether there is more behind, reading forward.
    has_next_page: bool,
    /// Whether there is more before, reading backward.
    has_previous_page: bool,
    #[graphql(skip)]
    first: Option<Place>,
    #[graphql(skip)]
    last: Option<Place>,
}

#[output::fields]
impl PageInfo {
    /// Cursor of the first row here.
    fn start_cursor(&self) -> Option<String> {
        self.first.as_ref().map(Place::cursor)
    }

    /// Cursor of the last row here.
    fn end_cursor(&self) -> Option<String> {
        self.last.as_ref().map(Place::cursor)
    }
}

/// Rows with their places, and where they stand.
pub(super) fn paged<T, N>(
    page: Page<T>,
    request: &PageRequest,
    cursors: &Cursors,
    key_of: impl Fn(&T) -> Key,
    node_of: impl Fn(T) -> N,
) -> (Vec<(Place, N)>, PageInfo) {
    let forward = request.direction == Direction::Forward;
    let row = |item| (Place { list: cursors.clone(), key: key_of(&item) }, node_of(item));
    let rows: Vec<_> = page.items.into_iter().map(row).collect();
    let info = PageInfo {
        // Relay: the other direction may be told when it is cheap. A page that began at a cursor has something
        // before it, namely the cursor's row.
        has_next_page: if forward { page.more } else { request.from.is_some() },
        has_previous_page: if forward { request.from.is_some() } else { page.more },
        first: rows.first().map(|(place, _)| place.clone()),
        last: rows.last().map(|(place, _)| place.clone()),
    };
    (rows, info)
}

/// Defines a connection and its edge for a node type, and what it keeps of how it was asked for, if a field of it needs
/// to know. Its other fields are added by `connection_fields!`, or beside `nodes` where a list has more.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ident, $of:literal $(, $kept:ident: $type:ty)?) => {
        #[doc = concat!("A row of a list of ", $of, ".")]
        #[derive(async_graphql::SimpleObject, output::Output)]
        #[graphql(complex)]
        #[output(fields)]
        pub struct $edge {
            #[graphql(skip)]
            place: $crate::graphql::connection::Place,
            /// The row.
            node: $node,
        }

        #[output::fields]
        impl $edge {
            /// The row's place in the list.
            fn cursor(&self) -> String {
                self.place.cursor()
            }
        }

        /// A part of a list, and where it stands.
        #[derive(async_graphql::SimpleObject, output::Output)]
        #[graphql(complex)]
        #[output(fields)]
        pub struct $connection {
            $(#[graphql(skip)]
            $kept: $type,)?
            /// The rows with their cursors.
            edges: Vec<$edge>,
            /// Where this part stands in the list.
            page_info: $crate::graphql::connection::PageInfo,
        }

        impl $connection {
            pub(super) fn new(
                (rows, page_info): (
                    Vec<($crate::graphql::connection::Place, $node)>,
                    $crate::graphql::connection::PageInfo,
                ),
                $($kept: $type,)?
            ) -> Self {
                let edges = rows.into_iter().map(|(place, node)| $edge { place, node }).collect();
                Self { $($kept,)? edges, page_info }
            }
        }
    };
}
pub(super) use connection;

/// Defines the computed fields of a connection without a count.
macro_rules! connection_fields {
    ($connection:ident, $node:ident) => {
        #[output::fields]
        impl $connection {
            /// The rows.
            fn nodes(&self) -> Vec<&$node> {
                self.edges.iter().map(|edge| &edge.node).collect()
            }
        }
    };
}
pub(super) use connection_fields;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [9; 32];

    fn key() -> Key {
        Key {
            at: Timestamp::from_timestamp_micros(1_790_000_000_123_456).unwrap_or_default(),
            id: Uuid::from_u128(7),
        }
    }

    fn args(
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> PageArgs {
        PageArgs { first, after, last, before }
    }

    #[test]
    fn cursors_are_of_their_list_only() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let cursors = Cursors::new(&KEY, tenant, "members", "");
        let cursor = cursors.write(key());
        assert_eq!(cursors.read(&cursor), Some(key()));
        let other_tenant = TenantId::from_uuid(Uuid::from_u128(2));
        assert_eq!(Cursors::new(&KEY, other_tenant, "members", "").read(&cursor), None);
        assert_eq!(Cursors::new(&KEY, tenant, "invitations", "").read(&cursor), None);
        assert_eq!(Cursors::new(&KEY, tenant, "members", "role").read(&cursor), None);
        assert_eq!(Cursors::new(&[8; 32], tenant, "members", "").read(&cursor), None);
        for position in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap_or_default();
            assert_eq!(cursors.read(&forged), None, "{position}");
        }
    }

    #[test]
    fn arguments_are_checked() {
        let cursors = Cursors::new(&KEY, TenantId::from_uuid(Uuid::nil()), "members", "");
        let cursor = || Some(cursors.write(key()));
        let good = cursors.request(&args(None, None, None, None)).map(|r| (r.limit, r.direction));
        assert_eq!(good.ok(), Some((20, Direction::Forward)));
        let back =
            cursors.request(&args(None, None, Some(100), cursor())).map(|r| (r.limit, r.direction, r.from));
        assert_eq!(back.ok(), Some((100, Direction::Backward, Some(key()))));
        for bad in [
            args(Some(0), None, None, None),
            args(Some(101), None, None, None),
            args(Some(-1), None, None, None),
            args(Some(1), None, Some(1), None),
            args(Some(1), None, None, cursor()),
            args(None, cursor(), Some(1), None),
            args(Some(1), Some("rubbish".to_owned()), None, None),
        ] {
            assert!(cursors.request(&bad).is_err(), "{bad:?}");
        }
    }
}
