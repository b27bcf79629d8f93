//! Global ids: base64url of `kind:uuid`, opaque to clients.

use async_graphql::ID;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::error::Failure;

/// Kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tenant,
    Member,
    Invitation,
    Session,
    ApiKey,
    AuditEvent,
    App,
    Account,
    Link,
    Group,
    Upload,
    Timetable,
    Plan,
    Post,
    Report,
    Hold,
    Record,
    Erasure,
}

impl Kind {
    const ALL: [Self; 18] = [
        Self::Tenant,
        Self::Member,
        Self::Invitation,
        Self::Session,
        Self::ApiKey,
        Self::AuditEvent,
        Self::App,
        Self::Account,
        Self::Link,
        Self::Group,
        Self::Upload,
        Self::Timetable,
        Self::Plan,
        Self::Post,
        Self::Report,
        Self::Hold,
        Self::Record,
        Self::Erasure,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Member => "member",
            Self::Invitation => "invitation",
            Self::Session => "session",
            Self::ApiKey => "api_key",
            Self::AuditEvent => "audit_event",
            Self::App => "app",
            Self::Account => "account",
            Self::Link => "link",
            Self::Group => "group",
            Self::Upload => "upload",
            Self::Timetable => "timetable",
            Self::Plan => "plan",
            Self::Post => "post",
            Self::Report => "report",
            Self::Hold => "hold",
            Self::Record => "record",
            Self::Erasure => "erasure",
        }
    }
}

/// The global id of a node.
pub(super) fn global_id(kind: Kind, uuid: Uuid) -> ID {
    let mut text = String::with_capacity(48);
    text.push_str(kind.as_str());
    text.push(':');
    text.push_str(uuid.simple().encode_lower(&mut Uuid::encode_buffer()));
    ID(URL_SAFE_NO_PAD.encode(text))
}

/// What a global id names; `None` for a text that is none of ours.
pub(super) fn parse_global_id(id: &str) -> Option<(Kind, Uuid)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
    let (kind, uuid) = text.split_once(':')?;
    let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind)?;
    Some((kind, Uuid::try_parse(uuid).ok()?))
}

/// The id of a node of one kind, from the input field `id`.
pub(super) fn id_of(kind: Kind, id: &ID) -> Result<Uuid, Failure> {
    id_in("id", kind, id)
}

/// The id of a node of one kind, from an input field.
pub(super) fn id_in(field: &str, kind: Kind, id: &ID) -> Result<Uuid, Failure> {
    match parse_global_id(id) {
        Some((found, uuid)) if found == kind => Ok(uuid),
        Some(_) | None => Err(Failure::invalid(field, "is not the id of such a thing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_and_others_do_not() {
        let uuid = Uuid::from_u128(42);
        for kind in Kind::ALL {
            assert_eq!(parse_global_id(&global_id(kind, uuid)), Some((kind, uuid)));
        }
        for bad in ["", "x", "bWVtYmVy", "????", &URL_SAFE_NO_PAD.encode("nobody:00")] {
            assert_eq!(parse_global_id(bad), None, "{bad}");
        }
        assert!(id_of(Kind::Session, &global_id(Kind::Member, uuid)).is_err());
    }
}
