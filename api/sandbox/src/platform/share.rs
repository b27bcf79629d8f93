//! The share flow: identifiers and tickets, and what a user's phone makes of a share link.

use std::collections::{BTreeMap, HashMap};

use md5::{Digest as _, Md5};
use serde_json::json;

use super::{Platform, calendar::SECOND_MS, chance::hex, posts::Post};

/// How long a ticket lives.
pub(crate) const TICKET_LIFE_S: i64 = 7_200;

/// All share_ids and tickets.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    ids: HashMap<String, ShareId>,
    /// (client_key, kind) to tickets and their ends.
    tickets: BTreeMap<(String, &'static str), Vec<(String, i64)>>,
}

/// What a share_id was issued for.
#[derive(Debug)]
struct ShareId {
    client_key: String,
    /// Whether the app wants to be told what came of it.
    need_callback: bool,
}

/// A link `snssdk1128://openplatform/share?...`, taken apart.
#[derive(Debug)]
pub(crate) struct ShareLink<'a> {
    pub(crate) client_key: &'a str,
    pub(crate) nonce_str: &'a str,
    pub(crate) timestamp: &'a str,
    pub(crate) signature: &'a str,
    /// The share_id.
    pub(crate) state: &'a str,
    pub(crate) title: &'a str,
}

/// Lower-case hex of MD5 over `nonce_str=..&ticket=..&timestamp=..`.
pub(crate) fn share_signature(nonce_str: &str, ticket: &str, timestamp: &str) -> String {
    hex(&Md5::digest(format!("nonce_str={nonce_str}&ticket={ticket}&timestamp={timestamp}").as_bytes()))
}

/// Lower-case hex of MD5 over `jsapi_ticket=..&nonce_str=..&timestamp=..&url=..`.
pub(crate) fn page_signature(ticket: &str, nonce_str: &str, timestamp: &str, url: &str) -> String {
    let text = format!("jsapi_ticket={ticket}&nonce_str={nonce_str}&timestamp={timestamp}&url={url}");
    hex(&Md5::digest(text.as_bytes()))
}

impl Platform {
    pub(crate) fn new_share_id(&mut self, client_key: &str, need_callback: bool) -> String {
        let number = self.next("share");
        let share_id = (1_700_000_000_000_000_000 + number * 7_919).to_string();
        let issued = ShareId { client_key: client_key.to_owned(), need_callback };
        self.share.ids.insert(share_id.clone(), issued);
        share_id
    }

    /// A new ticket: `open` for share links, `js` for pages.
    pub(crate) fn new_ticket(&mut self, client_key: &str, kind: &'static str) -> String {
        let number = self.next("ticket").to_string();
        let ticket = format!("@tkt{}", self.chance.hex(kind, &[&number], 40));
        let ends_ms = self.now_ms() + TICKET_LIFE_S * SECOND_MS;
        let tickets = self.share.tickets.entry((client_key.to_owned(), kind)).or_default();
        tickets.push((ticket.clone(), ends_ms));
        ticket
    }

    pub(crate) fn living_tickets(&self, client_key: &str, kind: &'static str) -> impl Iterator<Item = &str> {
        let now_ms = self.now_ms();
        let tickets = self.share.tickets.get(&(client_key.to_owned(), kind)).into_iter().flatten();
        tickets.filter(move |(_, ends_ms)| now_ms < *ends_ms).map(|(ticket, _)| ticket.as_str())
    }

    /// The user opens a share link and posts. The app is told which post came of its share_id, when it asked for that.
    ///
    /// # Errors
    /// What the phone would complain of.
    pub(crate) fn open_share(&mut self, user: &str, link: &ShareLink<'_>) -> Result<Post, &'static str> {
        if !self.apps.contains_key(link.client_key) {
            return Err("client_key is unknown");
        }
        if !self.users.contains_key(user) {
            return Err("user is unknown");
        }
        let mut tickets = self.living_tickets(link.client_key, "open");
        if !tickets.any(|ticket| share_signature(link.nonce_str, ticket, link.timestamp) == link.signature) {
            return Err("the signature fits no ticket that is alive");
        }
        drop(tickets);
        let issued = self.share.ids.get(link.state).filter(|issued| issued.client_key == link.client_key);
        if issued.is_none() && !link.state.is_empty() {
            return Err("state is no share_id of this app");
        }
        let need_callback = issued.is_some_and(|issued| issued.need_callback);
        let post = self.post_in_app(user, link.title, Some((link.client_key, link.state)));
        if need_callback {
            self.tell_of_post((link.client_key, user), &post, link.state);
        }
        Ok(post)
    }

    /// `create_video`, when the user granted the app its scope.
    pub(crate) fn tell_of_post(&mut self, by: (&str, &str), post: &Post, share_id: &str) {
        if !self.switches.create_video_needs_forward || self.has_granted(by.0, by.1, "aweme.forward") {
            let content = json!({ "item_id": self.item_id(by.0, post.number), "share_id": share_id });
            self.emit(by.0, "create_video", by.1, None, content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documents() {
        let share = share_signature("n0nce42", "tkt-demo-1", "1767225600");
        assert_eq!(share, "1587afec045cd61502063351e5f0009e");
        let page = page_signature("jst-demo-1", "n0nce42", "1767225600", "https://demo.example/page");
        assert_eq!(page, "ed7d5f24d3eeebc21e08e81c50bfd1b6");
    }
}
