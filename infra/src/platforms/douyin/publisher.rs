//! Uploads, creations and what became of them (contract: `upload_video`, `init_video_part_upload`, `upload_video_part`,
//! `complete_video_part_upload`, `create_video`, `video_list`, `video_data`; README.md says what was read where).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    accounts::TokenLease,
    kernel::{
        clock::Timestamp, fault::PortError, platform::PlatformError, scope::TenantScope, secret::Secret,
    },
    publishing::{
        model::{Medium, Standing, Visibility},
        ports::{Figures, FileBytes, ListPage, Listed, NewPost, PartRules, PostRules, Publisher},
    },
};
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, Endpoint, MULTIPART, multipart},
    config::DouyinSettings,
    error,
    quotas::{DAY_AHEAD, POSTS_PER_DAY},
    wire::{Int, Unread},
};
use crate::outbound::Transport;

/// Parts are advised above 50 MB, in parts of 20 MB; a text has at most 1,000 characters; a day, Beijing's, has 75 posts. What goes in one piece is in
/// memory whole, so that is no more than a part.
const RULES: PostRules = PostRules {
    // Nothing says how long before; a post is asked for when it is due, and not before.
    lead: chrono::TimeDelta::zero(),
    // Posting for somebody wants his visible consent each time (Douyin open platform, video.create).
    needs_receipt: true,
    caption_max_chars: 1_000,
    posts_per_day: POSTS_PER_DAY,
    day_ahead: DAY_AHEAD,
    parts: PartRules { whole_max_bytes: 20 * 1_024 * 1_024, part_bytes: 20 * 1_024 * 1_024 },
};

/// Longest a call may take that carries a file, or a part of one.
const CARRYING: Option<Duration> = Some(Duration::from_mins(2));

/// Posts of one page: clients ask for no more.
const PAGE: &str = "20";

const JSON: &str = "application/json";

pub(super) const UPLOAD: Endpoint = Endpoint {
    patience: CARRYING,
    ..Endpoint::harmless("douyin.upload_video", "upload_video", "/api/douyin/v1/video/upload_video/")
};

pub(super) const BEGIN_PARTS: Endpoint = Endpoint::harmless(
    "douyin.init_video_part_upload",
    "init_video_part_upload",
    "/api/douyin/v1/video/init_video_part_upload/",
);

pub(super) const PUT_PART: Endpoint = Endpoint {
    patience: CARRYING,
    ..Endpoint::harmless(
        "douyin.upload_video_part",
        "upload_video_part",
        "/api/douyin/v1/video/upload_video_part/",
    )
};

pub(super) const FINISH_PARTS: Endpoint = Endpoint {
    patience: CARRYING,
    ..Endpoint::harmless(
        "douyin.complete_video_part_upload",
        "complete_video_part_upload",
        "/api/douyin/v1/video/complete_video_part_upload/",
    )
};

pub(super) const CREATE: Endpoint =
    Endpoint::once("douyin.create_video", "create_video", "/api/douyin/v1/video/create_video/");

pub(super) const LIST: Endpoint = Endpoint {
    reads_by_get: true,
    ..Endpoint::repeatable("douyin.video_list", "video_list", "/api/douyin/v1/video/video_list/")
};

pub(super) const DATA: Endpoint =
    Endpoint::repeatable("douyin.video_data", "video_data", "/api/douyin/v1/video/video_data/");

/// [`Publisher`] for Douyin.
pub struct DouyinPublisher {
    client: Client,
}

impl DouyinPublisher {
    /// Over the transport its calls go by.
    pub fn new(transport: Arc<dyn Transport>, settings: DouyinSettings) -> Self {
        Self { client: Client::new(transport, settings.base_url) }
    }
}

/// A call that leaves nothing but its code.
#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct VideoData {
    video: Option<Video>,
}

#[derive(Deserialize)]
struct Video {
    video_id: Option<String>,
}

#[derive(Deserialize)]
struct TicketData {
    upload_id: Option<String>,
}

#[derive(Deserialize)]
struct ItemData {
    item_id: Option<String>,
}

#[derive(Serialize)]
struct CreateBody<'a> {
    video_id: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cover_tsp: Option<f64>,
    private_status: u8,
}

#[derive(Serialize)]
struct DataBody<'a> {
    item_ids: &'a [String],
}

/// A list that is not there is not an empty one: nothing could be concluded from it.
#[derive(Deserialize)]
struct ListData {
    list: Option<Vec<Entry>>,
    cursor: Option<Int>,
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct Entry {
    item_id: Option<String>,
    title: Option<String>,
    create_time: Option<Int>,
    is_top: Option<bool>,
    is_reviewed: Option<bool>,
    video_status: Option<Int>,
    share_url: Option<String>,
    statistics: Option<Statistics>,
}

#[derive(Default, Deserialize)]
struct Statistics {
    #[serde(rename = "play_count")]
    plays: Option<Int>,
    #[serde(rename = "digg_count")]
    likes: Option<Int>,
    #[serde(rename = "comment_count")]
    comments: Option<Int>,
    #[serde(rename = "share_count")]
    shares: Option<Int>,
}

/// What must be there and is something.
fn named(text: Option<String>, name: &'static str) -> Result<String, Unread> {
    text.filter(|text| !text.is_empty() && !text.contains('\0')).ok_or(Unread::Without(name))
}

fn count(number: Option<Int>) -> Option<u64> {
    number.and_then(|Int(number)| u64::try_from(number).ok())
}

impl Entry {
    /// The tables of the list (1, 2, 4) and of single posts (2, 4, 5) differ: 1 and 5 are public, 2 is not fit to be, and
    /// what is said not to be reviewed yet, or has a status that no table has, is pending. Some answers do not say.
    fn standing(&self) -> Standing {
        match (self.is_reviewed, self.video_status) {
            (Some(true) | None, Some(Int(1 | 5))) => Standing::Public,
            (Some(true) | None, Some(Int(2))) => Standing::Refused,
            _ => Standing::Pending,
        }
    }

    fn listed(self) -> Result<Listed, Unread> {
        let standing = self.standing();
        let created_at = self.create_time.and_then(|Int(seconds)| Timestamp::from_timestamp(seconds, 0));
        let statistics = self.statistics.unwrap_or_default();
        Ok(Listed {
            item: named(self.item_id, "item_id")?,
            caption: self.title.unwrap_or_default().replace('\0', ""),
            created_at: created_at.ok_or(Unread::Without("create_time"))?,
            is_top: self.is_top.unwrap_or_default(),
            standing,
            share_url: self.share_url.filter(|url| !url.is_empty()),
            figures: Figures {
                plays: count(statistics.plays),
                likes: count(statistics.likes),
                comments: count(statistics.comments),
                shares: count(statistics.shares),
            },
        })
    }
}

/// One entry that can't be read makes the whole unread: from what is missing nothing could be concluded.
fn all(list: Option<Vec<Entry>>) -> Result<Vec<Listed>, Unread> {
    list.ok_or(Unread::Without("list"))?.into_iter().map(Entry::listed).collect()
}

fn json(endpoint: &Endpoint, body: &impl Serialize) -> Result<Body, PlatformError> {
    let bytes = serde_json::to_vec(body).map_err(|e| error::unread(endpoint, e.into()))?;
    Ok((JSON, Secret::new(bytes)))
}

/// A body and what it is.
type Body = (&'static str, Secret);

fn file_body(file: &FileBytes) -> Body {
    (MULTIPART, multipart("video", &file.name, &file.media_type, &file.bytes))
}

fn medium(endpoint: &Endpoint, data: VideoData) -> Result<Medium, PlatformError> {
    let id = named(data.video.and_then(|video| video.video_id), "video_id");
    Ok(Medium { id: id.map_err(|why| error::unread(endpoint, why))? })
}

#[async_trait]
impl Publisher for DouyinPublisher {
    fn rules(&self) -> PostRules {
        RULES
    }

    async fn upload(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        file: FileBytes,
    ) -> Result<Medium, PlatformError> {
        let data = self.client.call(scope, lease, &UPLOAD, &[], Some(file_body(&file))).await?;
        medium(&UPLOAD, data)
    }

    async fn begin_parts(&self, scope: &TenantScope, lease: &TokenLease) -> Result<String, PlatformError> {
        let body = json(&BEGIN_PARTS, &serde_json::Map::new())?;
        let data: TicketData = self.client.call(scope, lease, &BEGIN_PARTS, &[], Some(body)).await?;
        named(data.upload_id, "upload_id").map_err(|why| error::unread(&BEGIN_PARTS, why))
    }

    async fn put_part(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        ticket: &str,
        number: u32,
        file: FileBytes,
    ) -> Result<(), PlatformError> {
        let number = number.to_string();
        let query = [("upload_id", ticket), ("part_number", number.as_str())];
        let Nothing {} = self.client.call(scope, lease, &PUT_PART, &query, Some(file_body(&file))).await?;
        Ok(())
    }

    async fn finish_parts(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        ticket: &str,
    ) -> Result<Medium, PlatformError> {
        let data = self.client.call(scope, lease, &FINISH_PARTS, &[("upload_id", ticket)], None).await?;
        medium(&FINISH_PARTS, data)
    }

    async fn create(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        medium: &Medium,
        post: &NewPost<'_>,
        within: Duration,
    ) -> Result<String, PlatformError> {
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "videos are minutes long")]
        let cover_tsp = post.cover_at_ms.map(|ms| ms as f64 / 1_000.0);
        let private_status = match post.visibility {
            Visibility::Public => 0,
            Visibility::OnlyMe => 1,
            Visibility::Friends => 2,
        };
        let body = CreateBody { video_id: &medium.id, text: post.caption, cover_tsp, private_status };
        let body = json(&CREATE, &body)?;
        let call = self.client.call(scope, lease, &CREATE, &[], Some(body));
        // Waiting for its turn is part of it: what is broken off is not sent later. Who comes to it too late, having been
        // stopped meanwhile, sees that first.
        let too_late = || PlatformError::Unknown(PortError::passing(CREATE.port, "broken off in time"));
        let data: ItemData = tokio::select! {
            biased;
            () = tokio::time::sleep(within) => return Err(too_late()),
            data = call => data?,
        };
        named(data.item_id, "item_id").map_err(|why| error::unread(&CREATE, why))
    }

    async fn list(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        cursor: Option<i64>,
    ) -> Result<ListPage, PlatformError> {
        let cursor = cursor.unwrap_or(0).to_string();
        let query = [("cursor", cursor.as_str()), ("count", PAGE)];
        let data: ListData = self.client.call(scope, lease, &LIST, &query, None).await?;
        let unread = |why| error::unread(&LIST, why);
        let next = match (data.has_more, data.cursor) {
            (Some(false), _) => None,
            (Some(true), Some(Int(next))) => Some(next),
            (Some(true), None) => return Err(unread(Unread::Without("cursor"))),
            (None, _) => return Err(unread(Unread::Without("has_more"))),
        };
        Ok(ListPage { posts: all(data.list).map_err(unread)?, next })
    }

    async fn look_up(
        &self,
        scope: &TenantScope,
        lease: &TokenLease,
        items: &[String],
    ) -> Result<Vec<Listed>, PlatformError> {
        let body = json(&DATA, &DataBody { item_ids: items })?;
        let data: ListData = self.client.call(scope, lease, &DATA, &[], Some(body)).await?;
        all(data.list).map_err(|why| error::unread(&DATA, why))
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        accounts::model::AppCredentials,
        kernel::{
            ids::{AccountId, AppId, TenantId},
            platform::PlatformKey,
        },
    };
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::outbound::{Method, script::Script};

    fn scope() -> TenantScope {
        TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1)))
    }

    fn lease() -> TokenLease {
        TokenLease {
            account: AccountId::from_uuid(Uuid::from_u128(3)),
            platform: PlatformKey::parse("douyin").unwrap(),
            access: Secret::from("act.1".to_owned()),
            open_id: "7d&0f=".to_owned(),
            credentials: AppCredentials {
                app: AppId::from_uuid(Uuid::from_u128(2)),
                client_key: "aw".to_owned(),
                client_secret: Secret::from("s".to_owned()),
            },
            expires_at: Timestamp::UNIX_EPOCH,
            version: 1,
        }
    }

    fn publisher(answers: &[&str]) -> (DouyinPublisher, Arc<Script>) {
        let script = Arc::new(Script::new(answers.iter().map(|answer| Script::answer(200, answer))));
        (DouyinPublisher::new(script.clone(), DouyinSettings::read(&json!({})).unwrap()), script)
    }

    const LONG: Duration = Duration::from_mins(1);

    const fn post(caption: &str) -> NewPost<'_> {
        NewPost { caption, cover_at_ms: Some(1_250), visibility: Visibility::OnlyMe }
    }

    #[tokio::test]
    async fn a_creation_is_sent_as_the_contract_has_it() {
        let (publisher, script) = publisher(&[include_str!("fixtures/create_video.json")]);
        let medium = Medium { id: "@sbxVid01+Qk9/aa==".to_owned() };
        let item = publisher.create(&scope(), &lease(), &medium, &post("a \"b\""), LONG).await.unwrap();
        assert_eq!(item, "@sbxItem01+Qk9/bb==");
        let call = &script.calls()[0];
        assert_eq!(
            call.url.as_str(),
            "https://open.douyin.com/api/douyin/v1/video/create_video/?open_id=7d%260f%3D"
        );
        assert_eq!((call.method, call.repeatable), (Method::Post, false));
        let token = ("access-token", Secret::from("act.1".to_owned()));
        assert!(call.headers.contains(&token) && !call.url.as_str().contains("act.1"));
        let body: Value = serde_json::from_slice(call.body.as_ref().unwrap().expose()).unwrap();
        let expected = json!({
            "video_id": "@sbxVid01+Qk9/aa==", "text": "a \"b\"", "cover_tsp": 1.25, "private_status": 1,
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_file_goes_in_a_form_that_its_name_can_not_break() {
        let (publisher, script) = publisher(&[r#"{"data":{"video":{"video_id":"v"},"error_code":0}}"#]);
        let file = FileBytes {
            name: "a\"\r\nx.mp4".to_owned(),
            media_type: "video/mp4\r\nx: y".to_owned(),
            bytes: vec![0, 255, 13, 10],
        };
        publisher.upload(&scope(), &lease(), file).await.unwrap();
        let call = &script.calls()[0];
        let body = call.body.as_ref().unwrap().expose();
        let head = "content-disposition: form-data; name=\"video\"; filename=\"a%22%0D%0Ax.mp4\"\r\n\
                    content-type: video/mp4\r\n\r\n";
        let at = body.windows(head.len()).position(|window| window == head.as_bytes()).unwrap();
        assert!(body[at + head.len()..].starts_with(&[0, 255, 13, 10, 13, 10, b'-', b'-']));
        assert_eq!(call.headers[0], ("content-type", Secret::from(MULTIPART.to_owned())));
        assert!(call.patience.is_some());
    }

    #[tokio::test]
    async fn an_answer_without_what_must_be_in_it_is_no_answer() {
        let good = r#""data":{"error_code":0"#;
        for data in ["}}", r#","item_id":""}}"#, r#","item_id":null}}"#] {
            let (publisher, _) = publisher(&[&format!("{{{good}{data}")]);
            let medium = Medium { id: "m".to_owned() };
            let created = publisher.create(&scope(), &lease(), &medium, &post("a"), LONG).await;
            assert!(matches!(created, Err(PlatformError::Unknown(_))), "{data}: {created:?}");
        }
        // A list with an entry that can't be read says nothing of what is not in it.
        for list in [
            r#"{"data":{"error_code":0,"list":[{"item_id":"","create_time":1}]}}"#,
            r#"{"data":{"error_code":0,"list":[{"item_id":"a"}]}}"#,
            r#"{"data":{"error_code":0,"list":[],"has_more":true}}"#,
            r#"{"data":{"error_code":0,"list":[]}}"#,
            r#"{"data":{"error_code":0,"has_more":false}}"#,
            r#"{"data":{"error_code":0,"list":null,"has_more":false}}"#,
        ] {
            let (publisher, _) = publisher(&[list]);
            let listed = publisher.list(&scope(), &lease(), None).await;
            assert!(matches!(listed, Err(PlatformError::Unknown(_))), "{list}: {listed:?}");
        }
    }

    #[tokio::test]
    async fn a_standing_is_pending_until_the_platform_has_looked() {
        let entry = |reviewed: bool, status: Value| json!({ "item_id": "a", "create_time": "1767231060", "is_reviewed": reviewed, "video_status": status });
        for (reviewed, status, expected) in [
            (false, json!(4), Standing::Pending),
            (true, json!(1), Standing::Public),
            (true, json!("5"), Standing::Public),
            (true, json!(2), Standing::Refused),
            (false, json!(5), Standing::Pending),
            (false, json!(2), Standing::Pending),
            (true, json!(4), Standing::Pending),
            (true, json!(77), Standing::Pending),
            (true, json!(null), Standing::Pending),
        ] {
            let answer = json!({ "data": { "error_code": 0, "list": [entry(reviewed, status.clone())] } });
            let (publisher, _) = publisher(&[&answer.to_string()]);
            let found = publisher.look_up(&scope(), &lease(), &["a".to_owned()]).await.unwrap();
            assert_eq!(found[0].standing, expected, "{reviewed} {status}");
        }
    }

    #[tokio::test]
    async fn figures_that_are_not_told_are_not_zero() {
        let (publisher, script) = publisher(&[include_str!("fixtures/list_without_data_code.json")]);
        let page = publisher.list(&scope(), &lease(), Some(1_767_231_060_000)).await.unwrap();
        let query = script.calls()[0].url.query().unwrap().to_owned();
        assert_eq!(query, "open_id=7d%260f%3D&cursor=1767231060000&count=20");
        assert_eq!(script.calls()[0].method, Method::Get);
        let bare = Statistics::default();
        assert_eq!(count(bare.plays), None);
        assert!(page.posts.iter().all(|listed| !listed.item.is_empty()), "{page:?}");
    }
}
