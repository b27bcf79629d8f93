//! What can be taken away as a file: posts with their figures, as CSV (RFC 4180) that opens in spreadsheet programs, or as a
//! JSON object a line. `importPosts` reads both.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    web,
};
use domain::{
    kernel::page::{Direction, Key, PageRequest},
    publishing::{PostFilter, PublishingError, actions, model::Post, ports::FigureReading},
};
use serde::Deserialize;

use super::{
    auth::{problem, unavailable},
    caller::{Asked, Counted, asked},
};
use crate::{app::App, graphql::post_filter};

/// Most rows of one file. Who has more names a plan or an account.
const ROWS_MAX: usize = 10_000;

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(web::resource("/exports/posts.csv").route(web::get().to(as_csv)));
    config.service(web::resource("/exports/posts.jsonl").route(web::get().to(as_jsonl)));
}

/// How a file is written.
#[derive(Clone, Copy)]
enum Format {
    Csv,
    Jsonl,
}

impl Format {
    /// Its media type, and its name.
    const fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"posts.csv\""),
            Self::Jsonl => ("application/jsonl; charset=utf-8", "attachment; filename=\"posts.jsonl\""),
        }
    }
}

/// Which posts are asked for, by global ids.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    account_id: Option<String>,
    plan_id: Option<String>,
}

/// A text that no spreadsheet program takes for a formula: one that it would begins with an apostrophe, and so does one that
/// has apostrophes before that already, so that it comes back as it is.
fn plain(text: String) -> String {
    let bare = text.trim_start_matches('\'');
    if bare.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

/// What is told of a post.
const NAMES: [&str; 18] = [
    "id",
    "reference",
    "plan_id",
    "account_id",
    "upload_id",
    "occurrence",
    "status",
    "planned_at",
    "accepted_at",
    "item",
    "caption",
    "cover_at_ms",
    "visibility",
    "figures_read_at",
    "plays",
    "likes",
    "comments",
    "shares",
];

/// The same, in that order.
fn fields(post: &Post, figures: Option<&FigureReading>) -> [Option<String>; NAMES.len()] {
    let number = |figure: Option<u64>| figure.map(|figure| figure.to_string());
    let counts = figures.map(|reading| reading.figures).unwrap_or_default();
    [
        Some(post.id.uuid().to_string()),
        Some(post.file_reference()),
        Some(post.plan.uuid().to_string()),
        Some(post.account.uuid().to_string()),
        Some(post.draft.upload.uuid().to_string()),
        Some(post.occurrence.to_string()),
        Some(post.state.status().as_str().to_owned()),
        Some(post.planned_at.to_rfc3339()),
        post.accepted_at.map(|at| at.to_rfc3339()),
        post.state.item().map(ToOwned::to_owned),
        Some(post.draft.caption.clone()),
        number(post.draft.cover_at_ms),
        Some(post.draft.visibility.as_str().to_owned()),
        figures.map(|reading| reading.read_at.to_rfc3339()),
        number(counts.plays),
        number(counts.likes),
        number(counts.comments),
        number(counts.shares),
    ]
}

/// The rows of a file, as far as they are written.
struct Rows {
    format: Format,
    text: Vec<u8>,
}

impl Rows {
    fn new(format: Format) -> Self {
        let mut rows = Self { format, text: Vec::new() };
        if matches!(format, Format::Csv) {
            rows.csv(NAMES.into_iter().map(ToOwned::to_owned));
        }
        rows
    }

    fn csv(&mut self, fields: impl Iterator<Item = String>) {
        let ended = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::Always)
            .terminator(csv::Terminator::CRLF)
            .from_writer(&mut self.text)
            .write_record(fields.map(String::into_bytes));
        debug_assert!(ended.is_ok(), "writing to memory does not fail");
    }

    fn add(&mut self, post: &Post, figures: Option<&FigureReading>) {
        let fields = fields(post, figures);
        match self.format {
            Format::Csv => self.csv(fields.into_iter().map(|text| plain(text.unwrap_or_default()))),
            Format::Jsonl => {
                let names = NAMES.into_iter().map(ToOwned::to_owned);
                let object: serde_json::Map<_, _> =
                    names.zip(fields).map(|(name, text)| (name, text.into())).collect();
                self.text.extend_from_slice(serde_json::Value::Object(object).to_string().as_bytes());
                self.text.push(b'\n');
            }
        }
    }
}

async fn as_csv(
    app: web::Data<App>,
    request: HttpRequest,
    wanted: Result<web::Query<Wanted>, actix_web::Error>,
) -> HttpResponse {
    posts(&app, &request, wanted, Format::Csv).await
}

async fn as_jsonl(
    app: web::Data<App>,
    request: HttpRequest,
    wanted: Result<web::Query<Wanted>, actix_web::Error>,
) -> HttpResponse {
    posts(&app, &request, wanted, Format::Jsonl).await
}

async fn posts(
    app: &App,
    request: &HttpRequest,
    wanted: Result<web::Query<Wanted>, actix_web::Error>,
    format: Format,
) -> HttpResponse {
    let counted = Counted {
        bucket: "exports",
        quota: app.quotas.caller,
        too_many: "too many requests; wait as long as Retry-After says",
    };
    let asked = match asked(app, request, actions::EXPORT_POSTS.name, &counted).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let bad = |message: &str| problem(request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", None, message);
    let Ok(wanted) = wanted else { return bad("only accountId and planId may be asked for, once each") };
    let Some(filter) = post_filter(wanted.account_id.as_deref(), wanted.plan_id.as_deref()) else {
        return bad("accountId and planId must be ids of this API");
    };
    let (media_type, disposition) = format.headers();
    match written(app, &asked, filter, format).await {
        Ok(Some(rows)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, media_type))
            .insert_header((CONTENT_DISPOSITION, disposition))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(rows),
        Ok(None) => bad("there are more than 10000 posts; name an account or a plan"),
        Err(PublishingError::Denied(denied)) => {
            problem(request, StatusCode::FORBIDDEN, "FORBIDDEN", None, &denied.to_string())
        }
        Err(error) => {
            tracing::warn!(error = %error, "posts were not exported");
            unavailable(request)
        }
    }
}

/// The file; `None` when it would be too long. That it was taken is in the log first.
async fn written(
    app: &App,
    asked: &Asked,
    filter: PostFilter,
    format: Format,
) -> Result<Option<Vec<u8>>, PublishingError> {
    let actor = &asked.caller.signed_in().actor;
    let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
    app.publishing.export_posts(&mut *work, actor).await?;
    work.commit().await?;
    let mut rows = Rows::new(format);
    let (mut count, mut from) = (0, None);
    loop {
        let page = PageRequest { limit: 100, from, direction: Direction::Forward };
        let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
        let page = app.publishing.posts(&mut *work, actor, filter, page).await?;
        let ids: Vec<_> = page.items.iter().map(|post| post.id).collect();
        let figures = app.publishing.newest_figures(&mut *work, actor, &ids).await?;
        drop(work);
        for post in &page.items {
            rows.add(post, figures.get(&post.id));
        }
        count += page.items.len();
        from = page.items.last().map(|last| Key { at: last.planned_at, id: last.id.uuid() });
        if !page.more {
            return Ok(Some(rows.text));
        }
        if count >= ROWS_MAX {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_no_formulas_and_end_where_they_should() {
        for (text, expected) in [
            ("plain", "\"plain\"\r\n"),
            ("a \"b\", c\r\nd", "\"a \"\"b\"\", c\r\nd\"\r\n"),
            ("=1+1", "\"'=1+1\"\r\n"),
            ("@sum", "\"'@sum\"\r\n"),
            ("-2", "\"'-2\"\r\n"),
            ("'-2", "\"''-2\"\r\n"),
            ("'tis", "\"'tis\"\r\n"),
            ("", "\"\"\r\n"),
        ] {
            let mut rows = Rows { format: Format::Csv, text: Vec::new() };
            rows.csv(std::iter::once(plain(text.to_owned())));
            assert_eq!(String::from_utf8_lossy(&rows.text), expected, "{text}");
        }
    }
}
