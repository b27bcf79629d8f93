//! `summary.html`: the manifest for people. One file without scripts or anything to load.
//!
//! It is what most people read, so the verifier makes it again and compares: a change of its text is a change of the
//! format, and so is one of `VERIFY.txt`.

use crate::{manifest::Manifest, time::Time};

/// The page.
pub fn html(manifest: &Manifest) -> String {
    let period = manifest.query.period();
    let bound = |at: Option<Time>, none: &str| at.map_or_else(|| none.to_owned(), |at| at.to_string());
    let rows = [
        ("Report", manifest.report_id.clone()),
        ("Kind", manifest.kind.clone()),
        ("Tenant", manifest.tenant_id.clone()),
        ("Log", manifest.origin.clone()),
        ("Asked", manifest.query_text.clone()),
        ("Asked, as it was evaluated", manifest.query.to_json().to_string()),
        ("From (UTC)", bound(period.and_then(|period| period.since), "the beginning of the log")),
        (
            "To before (UTC)",
            bound(period.and_then(|period| period.until), "no end: what there was when it was made"),
        ),
        ("Time zone of the question", manifest.time_zone.clone()),
        ("Made at (UTC, by the maker's clock)", manifest.created_at.to_string()),
        ("Events looked through", format!("{} to before {}", manifest.range.first, manifest.range.end)),
        ("Rows", manifest.rows.to_string()),
        (
            "Rows written down late",
            format!("{} (after more than {} s)", manifest.late, manifest.max_lateness_s),
        ),
        ("Disclosed values", manifest.disclosures.to_string()),
        ("Erased values", manifest.erasures.to_string()),
        ("Signed by", manifest.signer.subject.clone()),
        ("Certificate (SHA-256)", manifest.signer.certificate_sha256.clone()),
        ("Made by", format!("{} {}", manifest.tool.name, manifest.tool.version)),
    ];
    let table = rows.iter().fold(String::new(), |table, (name, value)| {
        table + "<tr><th scope=\"row\">" + &escape(name) + "</th><td>" + &escape(value) + "</td></tr>\n"
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Report {}</title>\n\
         <style>body{{font:16px sans-serif;margin:2em}}th{{text-align:left;vertical-align:top;padding-right:2em}}\
         td{{overflow-wrap:anywhere}}</style>\n</head>\n<body>\n<h1>Report {}</h1>\n<table>\n{table}</table>\n\
         <p>The rows are in report.csv. This page is signed with everything else, and says nothing that the other \
         files do not; VERIFY.txt tells how to check them.</p>\n</body>\n</html>\n",
        escape(&manifest.report_id),
        escape(&manifest.report_id),
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escape("<a href='x'>&\"</a>"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
    }
}
