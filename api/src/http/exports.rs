//! What can be taken away as a file: posts with their figures, as CSV (RFC 4180) that opens in spreadsheet programs.

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

const HEAD: &str = "id,plan_id,account_id,status,planned_at,accepted_at,item,caption,figures_read_at,plays,likes,comments,shares\r\n";

pub(super) fn mount(config: &mut web::ServiceConfig) {
    config.service(web::resource("/exports/posts.csv").route(web::get().to(posts)));
}

/// Which posts are asked for, by global ids.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    account_id: Option<String>,
    plan_id: Option<String>,
}

/// A field between quotes. One that a spreadsheet would take for a formula begins with an apostrophe.
fn field(text: &str, row: &mut String) {
    row.push('"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        row.push('\'');
    }
    row.push_str(&text.replace('"', "\"\""));
    row.push('"');
}

fn row(post: &Post, figures: Option<&FigureReading>, rows: &mut String) {
    let number = |figure: Option<u64>| figure.map(|figure| figure.to_string()).unwrap_or_default();
    let counts = figures.map(|reading| reading.figures).unwrap_or_default();
    let fields = [
        post.id.uuid().to_string(),
        post.plan.uuid().to_string(),
        post.account.uuid().to_string(),
        post.state.status().as_str().to_owned(),
        post.planned_at.to_rfc3339(),
        post.accepted_at.map(|at| at.to_rfc3339()).unwrap_or_default(),
        post.state.item().unwrap_or_default().to_owned(),
        post.draft.caption.clone(),
        figures.map(|reading| reading.read_at.to_rfc3339()).unwrap_or_default(),
        number(counts.plays),
        number(counts.likes),
        number(counts.comments),
        number(counts.shares),
    ];
    for (at, text) in fields.iter().enumerate() {
        if at > 0 {
            rows.push(',');
        }
        field(text, rows);
    }
    rows.push_str("\r\n");
}

async fn posts(
    app: web::Data<App>,
    request: HttpRequest,
    wanted: Result<web::Query<Wanted>, actix_web::Error>,
) -> HttpResponse {
    let counted = Counted {
        bucket: "exports",
        quota: app.quotas.caller,
        too_many: "too many requests; wait as long as Retry-After says",
    };
    let asked = match asked(&app, &request, actions::EXPORT_POSTS.name, &counted).await {
        Ok(asked) => asked,
        Err(answer) => return answer,
    };
    let bad = |message: &str| problem(&request, StatusCode::BAD_REQUEST, "BAD_USER_INPUT", None, message);
    let Ok(wanted) = wanted else { return bad("only accountId and planId may be asked for, once each") };
    let Some(filter) = post_filter(wanted.account_id.as_deref(), wanted.plan_id.as_deref()) else {
        return bad("accountId and planId must be ids of this API");
    };
    match written(&app, &asked, filter).await {
        Ok(Some(rows)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"posts.csv\""))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(rows),
        Ok(None) => bad("there are more than 10000 posts; name an account or a plan"),
        Err(PublishingError::Denied(denied)) => {
            problem(&request, StatusCode::FORBIDDEN, "FORBIDDEN", None, &denied.to_string())
        }
        Err(error) => {
            tracing::warn!(error = %error, "posts were not exported");
            unavailable(&request)
        }
    }
}

/// The file; `None` when it would be too long. That it was taken is in the log first.
async fn written(app: &App, asked: &Asked, filter: PostFilter) -> Result<Option<String>, PublishingError> {
    let actor = &asked.caller.signed_in().actor;
    let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
    app.publishing.export_posts(&mut *work, actor).await?;
    work.commit().await?;
    let mut rows = HEAD.to_owned();
    let (mut count, mut from) = (0, None);
    loop {
        let page = PageRequest { limit: 100, from, direction: Direction::Forward };
        let mut work = app.units.begin(actor.scope(), &asked.origin).await?;
        let page = app.publishing.posts(&mut *work, actor, filter, page).await?;
        let ids: Vec<_> = page.items.iter().map(|post| post.id).collect();
        let figures = app.publishing.newest_figures(&mut *work, actor, &ids).await?;
        drop(work);
        for post in &page.items {
            row(post, figures.get(&post.id), &mut rows);
        }
        count += page.items.len();
        from = page.items.last().map(|last| Key { at: last.planned_at, id: last.id.uuid() });
        if !page.more {
            return Ok(Some(rows));
        }
        if count >= ROWS_MAX {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_no_formulas_and_end_where_they_should() {
        for (text, expected) in [
            ("plain", "\"plain\""),
            ("a \"b\", c\r\nd", "\"a \"\"b\"\", c\r\nd\""),
            ("=1+1", "\"'=1+1\""),
            ("@sum", "\"'@sum\""),
            ("-2", "\"'-2\""),
            ("", "\"\""),
        ] {
            let mut row = String::new();
            field(text, &mut row);
            assert_eq!(row, expected, "{text}");
        }
    }
}
