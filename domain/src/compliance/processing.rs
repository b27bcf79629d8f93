//! Records of processing: for each activity of a tenant what is done with whose data, as GDPR article 30(1)(a) to (g) and 30(2)
//! and PIPL article 56 want it said. Made of what code and configuration say and of nothing else, so that it can't be out of
//! date without anybody seeing it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    log::jcs::canonical,
    records::{Activity, Category},
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{MemberId, RecordId, TenantId},
};

/// The twelve fields, in order: GDPR article 30(1)(a) for the first three, (b), (c) twice, (d), (e) twice, (f), (g), and 30(2).
pub const FIELDS: [&str; 12] = [
    "controller",
    "representative",
    "data_protection_officer",
    "purposes",
    "data_subjects",
    "personal_data",
    "recipients",
    "third_countries",
    "safeguards",
    "erasure",
    "security_measures",
    "processed_for",
];

/// Longest text of a field, in characters.
const TEXT_MAX_CHARS: usize = 2_000;

/// What holds everywhere: those are not settings.
const MEASURES: [&str; 4] = [
    "row-level security, forced on every table of a tenant, under database roles that each have one task",
    "what is sealed is under AES-256-GCM and keys of the tenant's own",
    "what is done is in a Merkle log with signed heads, under pseudonyms",
    "second factors, roles, sessions that end, limits by caller and address",
];

/// Somebody outside who is given data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// What configuration calls them: a platform's key, `mail` or `bucket`.
    pub key: String,
    /// Who they are.
    pub who: String,
    /// Where, ISO 3166-1 alpha-2.
    pub country: String,
    /// What protects data there, if that is another country than the controller's.
    pub safeguard: String,
}

/// What is the same for all tenants of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct House {
    /// Who decides on it, and how they are reached; joint controllers with it.
    pub controller: String,
    /// Who stands for them where the law wants somebody.
    pub representative: String,
    /// Their data protection officer.
    pub officer: String,
    /// Where they are, ISO 3166-1 alpha-2.
    pub country: String,
    /// Who may be given data.
    pub recipients: Vec<Recipient>,
    /// What else protects it.
    pub measures: Vec<String>,
    /// When what is kept for an activity is erased.
    pub limits: Vec<(Activity, String)>,
    /// Whether files are kept by somebody else.
    pub is_bucket: bool,
}

/// What is so of one tenant now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantFacts {
    /// Its public name.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// Platforms it has credentials for.
    pub platforms: BTreeSet<String>,
    /// Who holds the key that its keys are wrapped under.
    pub key_provider: Option<String>,
}

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// A field says nothing, or what is no text.
    #[error("{field} says nothing, or is longer than 2000 characters or has control characters")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// Somebody gets data, and nothing says who they are.
    #[error("{key} receives data and is not among records.recipients")]
    Undeclared {
        /// What configuration would call them.
        key: String,
    },
}

impl RecordFault {
    /// The word events have.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Field { .. } => "field_missing",
            Self::Undeclared { .. } => "recipient_undeclared",
        }
    }
}

/// A record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Canonical JSON (RFC 8785): what is signed.
    pub text: String,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

/// A version of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessingRecord {
    /// Its id.
    pub id: RecordId,
    /// Of what.
    pub activity: Activity,
    /// From 1; the highest is what holds.
    pub version: u32,
    /// What it says.
    pub content: Content,
    /// Fields that the newest version before that somebody had looked at, or the first, had otherwise.
    pub changed: Vec<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it was last found to be so still.
    pub checked_at: Timestamp,
    /// Who has looked at what changed; nobody has to at the first.
    pub reviewed: Option<(Timestamp, Option<MemberId>)>,
    /// A detached CAdES signature over the content (DER), and when.
    pub signature: Option<(Timestamp, Vec<u8>)>,
}

impl ProcessingRecord {
    /// Whether it may be signed: nothing changed that nobody looked at.
    pub const fn may_be_signed(&self) -> bool {
        self.signature.is_none() && (self.version == 1 || self.reviewed.is_some())
    }
}

/// Who is given data of an activity, as configuration calls them.
fn receiving(activity: Activity, tenant: &TenantFacts, house: &House) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    if matches!(activity, Activity::AccountLinks | Activity::Content | Activity::Publishing) {
        keys.extend(tenant.platforms.iter().cloned());
    }
    if activity == Activity::Membership {
        keys.insert("mail".to_owned());
    }
    // Files of the log lie there too, keys of months, and who was erased.
    if house.is_bucket && matches!(activity, Activity::Content | Activity::Reports | Activity::Audit) {
        keys.insert("bucket".to_owned());
    }
    keys
}

fn or_none(texts: Vec<String>, none: &str) -> Vec<String> {
    if texts.is_empty() { vec![none.to_owned()] } else { texts }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is said of an activity, or why it can't be said.
///
/// # Errors
/// [`RecordFault`].
pub fn compose(
    activity: Activity,
    (id, tenant): (TenantId, &TenantFacts),
    house: &House,
    categories: &BTreeSet<Category>,
) -> Result<Content, RecordFault> {
    let mut recipients = Vec::new();
    for key in receiving(activity, tenant, house) {
        let known = house.recipients.iter().find(|recipient| recipient.key == key);
        recipients.push(known.ok_or(RecordFault::Undeclared { key })?);
    }
    let abroad: Vec<_> = recipients.iter().filter(|recipient| recipient.country != house.country).collect();
    let limits = house.limits.iter().filter(|(of, _)| *of == activity).map(|(_, limit)| limit.clone());
    let mut measures = owned(&MEASURES);
    measures.extend(tenant.key_provider.iter().map(|provider| format!("keys are wrapped by {provider}")));
    measures.extend(house.measures.iter().cloned());
    let values: [Vec<String>; 12] = [
        vec![house.controller.clone()],
        vec![house.representative.clone()],
        vec![house.officer.clone()],
        owned(activity.purposes()),
        owned(activity.data_subjects()),
        categories.iter().map(|category| category.as_str().to_owned()).collect(),
        or_none(recipients.iter().map(|recipient| recipient.who.clone()).collect(), "nobody outside"),
        or_none(
            abroad.iter().map(|recipient| format!("{}: {}", recipient.country, recipient.who)).collect(),
            "none",
        ),
        or_none(
            abroad.iter().map(|recipient| format!("{}: {}", recipient.who, recipient.safeguard)).collect(),
            "none needed",
        ),
        limits.collect(),
        measures,
        vec![format!("{} ({}): {}", tenant.name, tenant.slug, activity.processing())],
    ];
    let mut fields = Map::new();
    for (field, value) in FIELDS.into_iter().zip(values) {
        let is_good = |text: &String| {
            !text.trim().is_empty()
                && text.chars().count() <= TEXT_MAX_CHARS
                && !text.chars().any(char::is_control)
        };
        if value.is_empty() || !value.iter().all(is_good) {
            return Err(RecordFault::Field { field });
        }
        fields.insert(field.to_owned(), value.into());
    }
    let whole = json!({ "v": 1, "activity": activity.as_str(), "tenant_id": id.uuid().to_string(), "fields": fields });
    // Texts, lists and one number: it has a canonical form.
    let bytes = canonical(&whole).map_err(|_| RecordFault::Field { field: "content" })?;
    let sha256 = Sha256::digest(&bytes).into();
    let text = String::from_utf8(bytes).map_err(|_| RecordFault::Field { field: "content" })?;
    Ok(Content { text, sha256 })
}

/// The fields of a content and what they say, in order.
///
/// # Errors
/// It is none of ours.
pub fn fields(content: &str) -> Result<Vec<(&'static str, Vec<String>)>, PortError> {
    let fault = |e| PortError::lasting("compliance.processing_records", e);
    let value: Value = serde_json::from_str(content).map_err(fault)?;
    let of = |field: &'static str| {
        let texts = value["fields"][field].as_array().into_iter().flatten();
        (field, texts.filter_map(|text| text.as_str().map(str::to_owned)).collect())
    };
    Ok(FIELDS.into_iter().map(of).collect())
}

/// Fields that two contents do not say alike.
///
/// # Errors
/// One is none of ours.
pub fn changed(before: &str, after: &str) -> Result<Vec<String>, PortError> {
    let pairs = fields(before)?.into_iter().zip(fields(after)?);
    let other = pairs.filter(|(before, after)| before != after);
    Ok(other.map(|((field, _), _)| field.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn house() -> House {
        House {
            controller: "Example Media Ltd, privacy@example.com".to_owned(),
            representative: "none needed".to_owned(),
            officer: "D. Officer, dpo@example.com".to_owned(),
            country: "CN".to_owned(),
            recipients: vec![
                Recipient {
                    key: "douyin".to_owned(),
                    who: "Douyin".to_owned(),
                    country: "CN".to_owned(),
                    safeguard: "none needed".to_owned(),
                },
                Recipient {
                    key: "mail".to_owned(),
                    who: "A mail service".to_owned(),
                    country: "DE".to_owned(),
                    safeguard: "standard contract".to_owned(),
                },
            ],
            limits: Activity::ALL.map(|activity| (activity, "after a year".to_owned())).to_vec(),
            ..House::default()
        }
    }

    fn tenant() -> TenantFacts {
        TenantFacts {
            slug: "aurora".to_owned(),
            name: "Aurora".to_owned(),
            platforms: BTreeSet::from(["douyin".to_owned()]),
            key_provider: Some("aws-kms".to_owned()),
        }
    }

    fn made(activity: Activity, tenant: &TenantFacts, house: &House) -> Result<Content, RecordFault> {
        let id = TenantId::from_uuid(Uuid::from_u128(7));
        compose(activity, (id, tenant), house, &BTreeSet::from([Category::Contact]))
    }

    #[test]
    fn each_activity_has_all_twelve_and_they_come_back() {
        for activity in Activity::ALL {
            let content = made(activity, &tenant(), &house()).expect("whole");
            let fields = fields(&content.text).expect("ours");
            assert_eq!(fields.len(), 12);
            assert!(fields.iter().all(|(_, texts)| !texts.is_empty()), "{fields:?}");
            assert_eq!(Sha256::digest(content.text.as_bytes())[..], content.sha256);
        }
        let mail = made(Activity::Membership, &tenant(), &house()).expect("whole");
        assert!(mail.text.contains("DE: A mail service") && mail.text.contains("standard contract"));
    }

    #[test]
    fn attack_44_what_is_missing_empty_or_undeclared_makes_no_record() {
        let missing = |field: &'static str, house: House| {
            assert_eq!(
                made(Activity::Membership, &tenant(), &house),
                Err(RecordFault::Field { field }),
                "{house:?}"
            );
        };
        for nothing in ["", " ", "\t", "a\u{0}b"] {
            missing("controller", House { controller: nothing.to_owned(), ..house() });
            missing("representative", House { representative: nothing.to_owned(), ..house() });
            missing("data_protection_officer", House { officer: nothing.to_owned(), ..house() });
            missing("security_measures", House { measures: vec![nothing.to_owned()], ..house() });
            missing("erasure", House { limits: vec![(Activity::Membership, nothing.to_owned())], ..house() });
        }
        missing("erasure", House { limits: Vec::new(), ..house() });
        let id = TenantId::from_uuid(Uuid::from_u128(7));
        let bare = compose(Activity::Audit, (id, &tenant()), &house(), &BTreeSet::new());
        assert_eq!(bare, Err(RecordFault::Field { field: "personal_data" }));
        // Taken out of the list, and receiving still.
        let without = House { recipients: Vec::new(), ..house() };
        let undeclared = |key: &str| Err(RecordFault::Undeclared { key: key.to_owned() });
        assert_eq!(made(Activity::Publishing, &tenant(), &without), undeclared("douyin"));
        assert_eq!(made(Activity::Membership, &tenant(), &without), undeclared("mail"));
        let bucket = House { is_bucket: true, ..house() };
        for activity in [Activity::Content, Activity::Reports, Activity::Audit] {
            assert_eq!(made(activity, &tenant(), &bucket), undeclared("bucket"));
        }
        assert!(made(Activity::Audit, &tenant(), &without).is_ok(), "nobody gets it");
    }

    #[test]
    fn what_changed_is_named_and_nothing_else() {
        let before = made(Activity::Publishing, &tenant(), &house()).expect("whole");
        let other = TenantFacts { platforms: BTreeSet::new(), ..tenant() };
        let after = made(Activity::Publishing, &other, &house()).expect("whole");
        assert_eq!(changed(&before.text, &after.text).expect("ours"), ["recipients"]);
        assert_eq!(changed(&before.text, &before.text).expect("ours"), Vec::<String>::new());
        assert!(changed("{", &after.text).is_err());
    }
}
