//! Which response media type the client asked for (RFC 9110, section 12.5.1; GraphQL over HTTP, section 5).

/// The media types an answer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`: also for `*/*` and for a missing `Accept`, until clients know the newer type.
    Json,
    /// `application/graphql-response+json`.
    GraphqlResponse,
    /// `text/event-stream`: graphql-sse, distinct connections mode.
    EventStream,
}

impl Media {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
        }
    }
}

/// In thousandths, as a quality has at most three decimals.
type Quality = u16;

/// The best type for an `Accept` value, or `None` when it rules all of them out. Equal qualities go to the
/// type named first, wildcards last.
pub(crate) fn negotiate(accept: Option<&str>) -> Option<Media> {
    let Some(accept) = accept.filter(|value| !value.trim().is_empty()) else {
        return Some(Media::Json);
    };
    let mut best: Option<(Quality, bool, Media)> = None;
    for range in accept.split(',') {
        let Some((media, exact, quality)) = read_range(range) else { continue };
        let better = best.is_none_or(|(q, e, _)| (quality, exact) > (q, e));
        if quality > 0 && better {
            best = Some((quality, exact, media));
        }
    }
    best.map(|(_, _, media)| media)
}

fn read_range(range: &str) -> Option<(Media, bool, Quality)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let (media, exact) = match name.as_str() {
        "application/graphql-response+json" => (Media::GraphqlResponse, true),
        "application/json" => (Media::Json, true),
        "text/event-stream" => (Media::EventStream, true),
        "*/*" | "application/*" => (Media::Json, false),
        _ => return None,
    };
    let mut quality = 1000;
    for parameter in parts {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => quality = read_quality(value)?,
            // Answers are UTF-8 and nothing else.
            "charset" if !is_utf8(value) => return None,
            _ => {}
        }
    }
    Some((media, exact, quality))
}

fn read_quality(text: &str) -> Option<Quality> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: Quality = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let thousandths: Quality = format!("{decimals:0<3}").parse().ok()?;
    Some((whole * 1000 + thousandths).min(1000))
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// Whether a request body of this `Content-Type` is read: `application/json`, in UTF-8.
pub(crate) fn is_json_body(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json")) {
        return false;
    }
    parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(key, value)| {
            !key.trim().eq_ignore_ascii_case("charset") || is_utf8(value.trim().trim_matches('"'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_weighed() {
        let check = |accept: &str, expected| assert_eq!(negotiate(Some(accept)), expected, "{accept}");
        check("", Some(Media::Json));
        check("*/*", Some(Media::Json));
        check("application/json", Some(Media::Json));
        check("application/graphql-response+json", Some(Media::GraphqlResponse));
        check("Application/GraphQL-Response+JSON; charset=\"UTF-8\"", Some(Media::GraphqlResponse));
        check("application/graphql-response+json, application/json;q=0.9", Some(Media::GraphqlResponse));
        check("application/graphql-response+json;q=0.5, application/json", Some(Media::Json));
        check("*/*, application/graphql-response+json", Some(Media::GraphqlResponse));
        check(
            "application/json;q=0, application/graphql-response+json;q=0.001",
            Some(Media::GraphqlResponse),
        );
        check("text/event-stream", Some(Media::EventStream));
        check("text/html", None);
        check("application/json;q=0", None);
        check("application/json;charset=latin1", None);
        check("application/json;q=7", None);
        check(";;;,,,=", None);
        assert_eq!(negotiate(None), Some(Media::Json));
    }

    #[test]
    fn only_json_bodies_are_read() {
        let check = |value: &str, expected| assert_eq!(is_json_body(Some(value)), expected, "{value}");
        check("application/json", true);
        check("application/json; charset=utf-8", true);
        check("APPLICATION/JSON;charset=\"UTF-8\"", true);
        check("application/json; charset=utf-16", false);
        check("text/plain", false);
        check("application/jsonp", false);
        check("multipart/form-data; boundary=x", false);
        check("application/x-www-form-urlencoded", false);
        assert!(!is_json_body(None));
    }
}
