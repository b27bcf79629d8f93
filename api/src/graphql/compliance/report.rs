//! Reports for auditors in the schema: what is asked, and how far one is.

use async_graphql::{Enum, ID, InputObject, OneofObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    compliance::{
        bundle::{
            opening::Field,
            query::{CUSTOM, FieldIs, Kind as Named, Party, Period, Query, Scalar},
        },
        report::{self, ReportDraft, time_of},
    },
    kernel::{clock::Timestamp, outbox::Stream},
    publishing::model::zone,
};
use output::Output;

use super::types::{AuditOutcome, AuditStream};
use crate::{
    app::App,
    graphql::{
        connection::{connection, connection_fields},
        error::Failure,
        local_time::instant,
        scalars::{Kind, global_id, id_in},
    },
    hex::hex,
};

/// What a report is about.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// Passwords that were asked to be reset, were reset or changed, and second factors that came or went.
    PasswordResets,
    /// Who signed in, tried to, and signed out.
    SignIns,
    /// Who came, got another role, was suspended or restored, and may work where.
    RoleChanges,
    /// Keys of machines, credentials on platforms, and keys that data is sealed under.
    KeyChanges,
    /// Every answer that one member got.
    DataAccess,
    /// What became of plans and posts.
    PublishHistory,
    /// What was taken away as a file.
    Exports,
    /// What `query` asks.
    Custom,
}

impl ReportKind {
    fn named(self, member: Option<String>) -> Option<Named> {
        Some(match self {
            Self::PasswordResets => Named::PasswordResets,
            Self::SignIns => Named::SignIns,
            Self::RoleChanges => Named::RoleChanges,
            Self::KeyChanges => Named::KeyChanges,
            Self::DataAccess => Named::DataAccess { member: member.unwrap_or_default() },
            Self::PublishHistory => Named::PublishHistory,
            Self::Exports => Named::Exports,
            Self::Custom => return None,
        })
    }

    fn of(report: &ReportDraft) -> Self {
        match Named::named(&report.kind, &report.query) {
            Some(Named::PasswordResets) => Self::PasswordResets,
            Some(Named::SignIns) => Self::SignIns,
            Some(Named::RoleChanges) => Self::RoleChanges,
            Some(Named::KeyChanges) => Self::KeyChanges,
            Some(Named::DataAccess { .. }) => Self::DataAccess,
            Some(Named::PublishHistory) => Self::PublishHistory,
            Some(Named::Exports) => Self::Exports,
            None => Self::Custom,
        }
    }
}

/// How a report is packed.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// One zip with the rows as CSV, all events of the range, what they hang from, and the signature over all of it.
    Zip,
}

/// What of an event is shown that the log itself only commits to.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportDisclosure {
    /// What changed, row by row.
    Diff,
    /// What was there before.
    PrevState,
}

impl From<ReportDisclosure> for Field {
    fn from(disclosure: ReportDisclosure) -> Self {
        match disclosure {
            ReportDisclosure::Diff => Self::DiffCommit,
            ReportDisclosure::PrevState => Self::PrevStateCommit,
        }
    }
}

impl From<Field> for ReportDisclosure {
    fn from(field: Field) -> Self {
        match field {
            Field::DiffCommit => Self::Diff,
            Field::PrevStateCommit => Self::PrevState,
        }
    }
}

/// Somebody or something in events, by kind, by id or by both.
#[derive(InputObject)]
pub struct ReportPartyInput {
    /// The kind, as `member`.
    kind: Option<String>,
    /// The id: a node's, or a UUID as events have it.
    id: Option<ID>,
}

/// That a clear field of an event has a value; one of the three.
#[derive(InputObject)]
pub struct ReportFieldInput {
    /// Where it is in the event, as `["geo", "country"]`.
    path: Vec<String>,
    /// The value, when it is a text.
    text: Option<String>,
    /// The value, when it is a whole number.
    number: Option<i32>,
    /// The value, when it is true or false.
    flag: Option<bool>,
}

/// A filter over the clear fields of events; one of these.
#[derive(OneofObject)]
pub enum ReportQueryInput {
    /// All of these hold.
    All(Vec<ReportQueryInput>),
    /// One of these holds.
    Any(Vec<ReportQueryInput>),
    /// This does not hold.
    Not(Box<ReportQueryInput>),
    /// The type is one of these, as `sign_in`.
    Types(Vec<String>),
    /// It ended in one of these ways.
    Outcomes(Vec<AuditOutcome>),
    /// Who did it.
    Actor(ReportPartyInput),
    /// What it was done to.
    Target(ReportPartyInput),
    /// A clear field has a value.
    Field(ReportFieldInput),
}

/// What is asked, for which time.
#[derive(InputObject)]
pub struct RequestReportInput {
    /// What it is about.
    kind: ReportKind,
    /// Whom it is about; for `DATA_ACCESS`.
    member_id: Option<ID>,
    /// Which log is asked; for `CUSTOM`.
    stream: Option<AuditStream>,
    /// What is asked of it; for `CUSTOM`.
    query: Option<ReportQueryInput>,
    /// The first moment: with an offset, or as clocks show it in `zone`, or a date there. Null for the log's beginning.
    since: Option<String>,
    /// The first moment behind it. Null for now.
    until: Option<String>,
    /// The zone of times without an offset: its name in the IANA database.
    #[graphql(default_with = "String::from(\"UTC\")")]
    zone: String,
    /// Sizes of checkpoints of the log that you have kept: the range reaches over all of them, so that they can be compared,
    /// and the verifier has your own word for when they were the newest. 0 stands for the log's beginning.
    #[graphql(default)]
    kept_sizes: Vec<String>,
    /// What the rows show of what their events commit to, with what proves it. It may name persons: whoever has the report has
    /// that too.
    #[graphql(default)]
    disclose: Vec<ReportDisclosure>,
    /// How it is packed.
    #[graphql(default_with = "ReportFormat::Zip")]
    format: ReportFormat,
}

fn party(field: &str, input: ReportPartyInput) -> Result<Party, Failure> {
    let uuid = |id: &ID| {
        let found = crate::graphql::scalars::parse_global_id(id).map(|(_, uuid)| uuid);
        found
            .or_else(|| uuid::Uuid::try_parse(id).ok())
            .ok_or_else(|| Failure::invalid(field, "has an id that is none"))
    };
    let id = input.id.as_ref().map(uuid).transpose()?;
    Ok(Party { kind: input.kind, id: id.map(|id| id.to_string()) })
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort_unstable();
    words.dedup();
    words
}

impl ReportQueryInput {
    fn query(self) -> Result<Query, Failure> {
        let all = |inputs: Vec<Self>| inputs.into_iter().map(Self::query).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Self::All(inputs) => Query::And(all(inputs)?),
            Self::Any(inputs) => Query::Or(all(inputs)?),
            Self::Not(input) => Query::Not(Box::new(input.query()?)),
            Self::Types(words) => Query::Types(sorted(words)),
            Self::Outcomes(outcomes) => {
                let words = outcomes
                    .into_iter()
                    .map(|outcome| domain::kernel::outbox::Outcome::from(outcome).as_str().to_owned());
                Query::Outcomes(sorted(words.collect()))
            }
            Self::Actor(input) => Query::Actor(party("query.actor", input)?),
            Self::Target(input) => Query::Target(party("query.target", input)?),
            Self::Field(ReportFieldInput { path, text, number, flag }) => {
                let is = match (text, number, flag) {
                    (Some(text), None, None) => Scalar::Text(text),
                    (None, Some(number), None) => Scalar::Number(number.into()),
                    (None, None, Some(flag)) => Scalar::Flag(flag),
                    _ => return Err(Failure::invalid("query.field", "needs one of text, number and flag")),
                };
                Query::Field(FieldIs { path, is })
            }
        })
    }
}

impl RequestReportInput {
    pub(super) fn draft(self, now: Timestamp) -> Result<ReportDraft, Failure> {
        let ReportFormat::Zip = self.format;
        let known = zone(&self.zone)?;
        let at = |field: &'static str, text: &Option<String>| {
            let text = text.as_deref().map(|text| instant(text.trim(), Some(&known)));
            let at = text.transpose().map_err(|why| Failure::invalid(field, &why))?;
            at.map(time_of).transpose().map_err(|_| Failure::invalid(field, "is beyond the year 9999"))
        };
        let until = match at("until", &self.until)? {
            Some(until) => until,
            None => time_of(now).map_err(|_| Failure::invalid("until", "is beyond the year 9999"))?,
        };
        let period = Period { since: at("since", &self.since)?, until: Some(until) };
        let member = self.member_id.as_ref().map(|id| id_in("memberId", Kind::Member, id)).transpose()?;
        let size = |text: &String| text.parse().ok().filter(|size: &u64| i64::try_from(*size).is_ok());
        let kept: Option<Vec<_>> = self.kept_sizes.iter().map(size).collect();
        let kept = kept.ok_or_else(|| Failure::invalid("keptSizes", "must be decimal digits"))?;
        let kept = kept.iter().min().copied().zip(kept.iter().max().copied());
        let word = |is_there: bool, field, is_wanted: bool| match (is_there, is_wanted) {
            (true, false) => Err(Failure::invalid(field, "is not for this kind; leave it out")),
            (false, true) => Err(Failure::invalid(field, "is needed for this kind")),
            (_, _) => Ok(()),
        };
        let is_custom = self.kind == ReportKind::Custom;
        word(member.is_some(), "memberId", self.kind == ReportKind::DataAccess)?;
        word(self.stream.is_some(), "stream", is_custom)?;
        word(self.query.is_some(), "query", is_custom)?;
        let named = self.kind.named(member.map(|member| member.to_string()));
        let (kind, stream, query) = match (named, self.stream, self.query) {
            (Some(named), ..) => {
                let stream = Stream::parse(named.stream());
                let stream = stream.ok_or_else(|| Failure::invalid("kind", "is of no log"))?;
                (named.word(), stream, named.query(period))
            }
            (None, Some(stream), Some(query)) => {
                (CUSTOM, stream.into(), Query::And(vec![Query::Period(period), query.query()?]))
            }
            (None, ..) => return Err(Failure::invalid("query", "is needed for this kind")),
        };
        let end = |text: Option<String>, open: &str| {
            text.map_or_else(|| open.to_owned(), |text| text.trim().to_owned())
        };
        let query_text = format!(
            "{} from {} to before {} ({})",
            kind.replace('_', " "),
            end(self.since, "the beginning"),
            end(self.until, &until.to_string()),
            self.zone
        );
        let mut disclosed: Vec<Field> = self.disclose.into_iter().map(Into::into).collect();
        disclosed.sort_unstable();
        disclosed.dedup();
        Ok(ReportDraft { kind: kind.to_owned(), stream, query, query_text, zone: self.zone, kept, disclosed })
    }
}

/// A report that is being made, or is there.
#[derive(InputObject)]
pub struct CancelReportInput {
    /// Which.
    pub(super) id: ID,
}

/// How a report stands.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "report::ReportState")]
pub enum ReportState {
    /// It waits for its turn, or is being made.
    Making,
    /// It can be fetched from its `url`.
    Ready,
    /// There will be none.
    Failed,
    /// It was given up, or thrown away.
    Cancelled,
    /// It was thrown away when its time was over.
    Expired,
}

/// Why there will be none.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "report::ReportFailure")]
pub enum ReportFailure {
    /// Nothing was ever logged in that log.
    LogEmpty,
    /// Events of the period have no place in the log yet: ask again when the log has caught up.
    LogBehind,
    /// The log does not fit together, or holds what no report can show: tell whoever runs the service.
    LogBroken,
    /// Whoever made it broke off every time.
    BrokeOff,
}

/// A report for auditors: a signed bundle that `matricula-verify` and openssl check without this service.
#[derive(SimpleObject, Output, Clone)]
pub struct Report {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What it is about.
    kind: ReportKind,
    /// Which log it is of.
    stream: AuditStream,
    /// What was asked, in words.
    query_text: String,
    /// The filter, as JSON.
    query: String,
    /// What its rows show of what events commit to.
    disclosed: Vec<ReportDisclosure>,
    /// The answer it was asked for in, which is the report's name for itself.
    compliance_id: ID,
    /// When it was asked for.
    requested_at: DateTime<Utc>,
    /// How it stands.
    state: ReportState,
    /// How far it is, in thousandths.
    done_permille: u32,
    /// Why there will be none; null otherwise.
    failure: Option<ReportFailure>,
    /// When it ended; null while it is being made.
    ended_at: Option<DateTime<Utc>>,
    /// Where it is fetched from, with the same credentials; null when it is not there.
    url: Option<String>,
    /// How many bytes it has.
    size_bytes: Option<String>,
    /// SHA-256 of it; null for a large one, of which most was made before it was asked for. Its signature covers all of it.
    sha256: Option<String>,
    /// The index of the first event of its range.
    first: Option<String>,
    /// One past that of the last: the size of the checkpoint it ends at.
    end: Option<String>,
    /// How many of them are rows.
    rows: Option<String>,
    /// Whether a time-stamping authority stamped it.
    is_timestamped: Option<bool>,
    /// When it is thrown away.
    expires_at: Option<DateTime<Utc>>,
}

impl Report {
    pub(in crate::graphql) fn new(report: &report::Report, app: &App) -> Self {
        let is_there = report.is_there(app.clock.now());
        let bundle = report.bundle.as_ref();
        Self {
            id: global_id(Kind::Report, report.id.uuid()),
            kind: ReportKind::of(&report.draft),
            stream: report.draft.stream.into(),
            query: report.draft.query.to_json().to_string(),
            query_text: report.draft.query_text.clone(),
            disclosed: report.draft.disclosed.iter().map(|field| (*field).into()).collect(),
            compliance_id: report.compliance_id.uuid().to_string().into(),
            requested_at: report.requested_at,
            state: report.state.into(),
            done_permille: report.done_permille,
            failure: report.failure.map(Into::into),
            ended_at: report.ended_at,
            url: is_there.then(|| app.report_url(report.id)),
            size_bytes: bundle.map(|bundle| bundle.size_bytes.to_string()),
            sha256: bundle.and_then(|bundle| bundle.sha256).map(|sha256| hex(&sha256)),
            first: bundle.map(|bundle| bundle.first.to_string()),
            end: bundle.map(|bundle| bundle.end.to_string()),
            rows: bundle.map(|bundle| bundle.rows.to_string()),
            is_timestamped: bundle.map(|bundle| bundle.is_timestamped),
            expires_at: bundle.map(|bundle| bundle.expires_at),
        }
    }
}

connection!(ReportConnection, ReportEdge, Report, "reports");
connection_fields!(ReportConnection, Report);
