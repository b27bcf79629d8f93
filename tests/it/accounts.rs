//! Linking accounts on the rehearsed platform, and what is seen of it from outside.

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::kernel::actor::Role;
use harness::{
    app::{PASSWORD, TestApp},
    client::PATIENCE,
    platform::TestPlatform,
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row as _;
use tracing_subscriber::fmt::format::FmtSpan;

const BOARD: &str = "{ accounts(first: 10) { totalCount nodes {
    id nickname platform state consentEnd openId tokens { health renewalsLeft lastError accessRemainingS }
    capabilities { ability way obstacle scope }
} } }";

/// Reads until `good` is true of `data.accounts.nodes[0]`.
async fn until(app: &TestApp, token: &str, good: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = app.client.graphql(token, BOARD, json!({})).await.unwrap();
        let first = answer.data("accounts")["nodes"][0].clone();
        if good(&first) {
            return first;
        }
        assert!(tokio::time::Instant::now() < deadline, "still {}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_linked_by_way_of_the_platforms_page() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    let token = &tenant.owner.token;
    let mut socket = app.client.socket(token).await.unwrap();
    socket.subscribe("1", "subscription { accountEvents { kind subjectId seq at } }").await.unwrap();

    let ask = "mutation ($app: ID!) { beginLink(input: { appId: $app }) @idempotent(key: \"k\") {
        consentUrl expiresAt link { id state trace { step } } userErrors { message } } }";
    let begun = app.client.graphql(token, ask, json!({ "app": registered.id })).await.unwrap();
    let link = begun.data("beginLink");
    assert_eq!(link["link"]["state"], "OPEN", "{}", begun.body);
    let page = link["consentUrl"].as_str().unwrap();
    assert!(page.starts_with(&format!("{}/platform/oauth/connect/?", platform.url)), "{page}");
    // The page a person would click: it shows who asks and for what.
    let (status, text) = platform.open(page).await.unwrap();
    assert!(status == 200 && text.contains("video.create.bind"), "{status} {text}");
    let user = platform.user("Lin & <Mei>").await.unwrap();
    let back = platform.consent(page, &user).await.unwrap();
    let (status, text) = platform.open(&back).await.unwrap();
    assert!(status == 200 && text.contains("Lin &amp; &lt;Mei&gt; can be used now"), "{status} {text}");
    let (status, text) = platform.open(&back).await.unwrap();
    assert!(status == 400 && text.contains("used already"), "{status} {text}");

    let event = socket.receive("next").await.unwrap();
    let account = until(&app, token, |account| account["nickname"] != "").await;
    assert_eq!(event["payload"]["data"]["accountEvents"]["kind"], "ACCOUNT_LINKED");
    assert_eq!(event["payload"]["data"]["accountEvents"]["subjectId"], account["id"]);
    assert_eq!((&account["nickname"], &account["tokens"]["health"]), (&json!("Lin & <Mei>"), &json!("GOOD")));
    assert_eq!(account["tokens"]["renewalsLeft"], 5);
    let abilities: Vec<_> = account["capabilities"].as_array().unwrap().iter().collect();
    let of = |ability: &str| (*abilities.iter().find(|one| one["ability"] == ability).unwrap()).clone();
    assert_eq!(of("PUBLISH_VIDEO")["way"], "SERVER");
    assert_eq!(of("STATISTICS")["obstacle"], "APP_LACKS_SCOPE", "{}", of("STATISTICS"));

    let trace = "query ($id: ID!) { link(id: $id) { state accountId trace { step detail } } }";
    let trace = app.client.graphql(token, trace, json!({ "id": link["link"]["id"] })).await.unwrap();
    let steps: Vec<_> =
        trace.data("link")["trace"].as_array().unwrap().iter().map(|e| e["step"].clone()).collect();
    assert_eq!(steps, ["BEGUN", "RETURNED", "CODE_EXCHANGED", "LINKED", "PROFILE_READ"]);
    assert_eq!(trace.data("link")["accountId"], account["id"]);
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_page_is_safe_whatever_it_is_sent() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let long = "x".repeat(10_000);
    for query in [
        "",
        "?state=",
        "?state=mls_AAAA&code=x",
        "?state=%00%ff",
        &format!("?state={long}"),
        "?state=<script>",
    ] {
        let url = format!("{}/link/douyin/callback{query}", app.client.base());
        let answer = platform.http().get(&url).send().await.unwrap();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert_eq!(answer.status(), 400, "{query:.40}");
        assert!(!header("x-compliance-id").is_empty());
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{query:.40}");
        assert_eq!(
            (header("cache-control"), header("referrer-policy")),
            ("no-store".to_owned(), "no-referrer".to_owned())
        );
        assert!(!answer.text().await.unwrap().contains("<script>"));
    }
    let unknown = platform
        .http()
        .get(format!("{}/link/nowhere/callback?state=x", app.client.base()))
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), 400);
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_word_is_taken_when_it_is_signed() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    let (status, text) = platform.link(&app.client, &tenant.owner.token, &registered, "Ada").await.unwrap();
    assert_eq!(status, 200, "{text}");
    let account = until(&app, &tenant.owner.token, |account| account["state"] == "CONNECTED").await;

    // Saving the address at the platform sends the challenge, signed, which has to come back.
    let key = &registered.client_key;
    let webhook = json!({ "url": registered.webhook_url });
    platform.control(Method::PUT, &format!("apps/{key}/webhook"), &webhook).await.unwrap();
    let wanted = json!({ "subscriptions": { "unauthorize": true, "authorize": true } });
    platform.control(Method::PATCH, &format!("apps/{key}"), &wanted).await.unwrap();

    // What somebody else says, in the same words.
    let forged = json!({ "event": "unauthorize", "client_key": key, "from_user_id": account["openId"], "content": { "scopes": [] } });
    for signature in ["", "0000000000000000000000000000000000000000", "x"] {
        let answer = platform
            .http()
            .post(&registered.webhook_url)
            .header("x-douyin-signature", signature)
            .json(&forged)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{signature}");
    }
    let still = until(&app, &tenant.owner.token, |account| !account.is_null()).await;
    assert_eq!(still["state"], "CONNECTED");

    let users = platform.control(Method::GET, "users", &Value::Null).await.unwrap();
    let user = users["users"].as_array().unwrap().last().unwrap()["id"].clone();
    platform.control(Method::POST, "revoke", &json!({ "client_key": key, "user": user })).await.unwrap();
    let ended = until(&app, &tenant.owner.token, |account| {
        account["state"] == "CONSENT_NEEDED" && account["tokens"].is_null()
    });
    assert_eq!(ended.await["consentEnd"], "REVOKED", "and its tokens are thrown away");
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_they_were_granted() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    let owner = &tenant.owner.token;
    platform.link(&app.client, owner, &registered, "Ada").await.unwrap();
    let account = until(&app, owner, |account| account["state"] == "CONNECTED").await;
    let operator = app.member(&tenant, Role::Operator).await.unwrap();
    let empty = app.client.graphql(&operator.token, BOARD, json!({})).await.unwrap();
    assert_eq!(empty.data("accounts"), &json!({ "totalCount": 0, "nodes": [] }));
    let group =
        "mutation { createGroup(input: { name: \"Team\" }) @idempotent(key: \"g\") { group { id } } }";
    let group = app.client.graphql(owner, group, json!({})).await.unwrap();
    let group = group.data("createGroup")["group"]["id"].clone();
    let arrange = "mutation ($account: ID!, $group: ID!, $member: ID!) {
        placeAccount(input: { id: $account, groupId: $group }) { account { groupId } userErrors { message } }
        grantGroup(input: { id: $group, memberId: $member }) { group { grantedTo } userErrors { message } } }";
    let variables = json!({ "account": account["id"], "group": group, "member": operator.id });
    let arranged = app.client.graphql(owner, arrange, variables).await.unwrap();
    assert_eq!(arranged.data("grantGroup")["group"]["grantedTo"], json!([operator.id]), "{}", arranged.body);
    let full = app.client.graphql(&operator.token, BOARD, json!({})).await.unwrap();
    assert_eq!(full.data("accounts")["totalCount"], 1);
    let pause = "mutation ($id: ID!) { pauseAccount(input: { id: $id }) { account { pausedAt capabilities { obstacle } } } }";
    let paused = app.client.graphql(&operator.token, pause, json!({ "id": account["id"] })).await.unwrap();
    assert!(paused.data("pauseAccount")["account"]["pausedAt"].is_string(), "{}", paused.body);
    let due = "{ consentsDue(withinDays: 200) { nodes { nickname tokens { consentEndsAt askFrom } } } }";
    let due = app.client.graphql(&operator.token, due, json!({})).await.unwrap();
    assert_eq!(due.data("consentsDue")["nodes"][0]["nickname"], "Ada", "{}", due.body);
    let soon = "{ consentsDue(withinDays: 30) { nodes { id } } }";
    let soon = app.client.graphql(&operator.token, soon, json!({})).await.unwrap();
    assert_eq!(soon.data("consentsDue")["nodes"], json!([]));
    app.stop().await.unwrap();
    platform.stop().await;
}

/// Everything in the database, as text.
async fn dump(app: &TestApp) -> String {
    let mut database = app.superuser_connection().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        // As text and as what bytea columns hold: 'escape' shows printable bytes as they are.
        let sql = format!(
            "SELECT t::text AS row, encode(convert_to(t::text, 'UTF8'), 'escape') AS raw FROM {table} AS t"
        );
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut database).await.unwrap() {
            text.push_str(&row.get::<String, _>("row"));
            text.push('\n');
        }
    }
    text
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut all, byte| {
        // Writing to a string does not fail.
        let _ = write!(all, "{byte:02x}");
        all
    })
}

/// Everything in Redis below this test's prefix, names and values.
fn dump_redis(app: &TestApp) -> String {
    const ALL: &str = "local all = {}
        for _, key in ipairs(redis.call('KEYS', '*')) do
            local kind = redis.call('TYPE', key).ok
            local read = { string = {'GET'}, hash = {'HGETALL'}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'},
                zset = {'ZRANGE', 0, -1}, stream = {'XRANGE', '-', '+'} }
            local call = read[kind]
            table.insert(call, 2, key)
            table.insert(all, key .. ' ' .. cjson.encode(redis.call(unpack(call))))
        end
        return all";
    let url = url::Url::parse(app.redis_url()).unwrap();
    let (host, port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(6379).to_string());
    let answer = Command::new("redis-cli")
        .env("REDISCLI_AUTH", url.password().unwrap_or_default())
        .args(["-h", host, "-p", &port, "EVAL", ALL, "0"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.status.success() && text.contains("limit:"), "the dump is of this Redis: {text}");
    text
}

/// What the process logs from now on, down to traces of our own code.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let to = log.clone();
        let filter =
            "info,domain=trace,infra=trace,api=trace,server=trace,transport=trace,output=trace,sqlx=debug";
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_span_events(FmtSpan::FULL)
            .with_writer(move || to.clone());
        subscriber.init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_secret_or_name_lies_readable_anywhere() {
    let log = Log::start();
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    for nickname in ["Nickname One", "Nickname Two"] {
        let (status, text) =
            platform.link(&app.client, &tenant.owner.token, &registered, nickname).await.unwrap();
        assert_eq!(status, 200, "{text}");
    }
    let account = until(&app, &tenant.owner.token, |account| account["state"] == "CONNECTED").await;
    app.settle().await.unwrap();
    let operators = app.operators().unwrap();
    let (status, figures) = platform.open(&format!("{}/metrics", operators.base())).await.unwrap();
    assert!(status == 200 && figures.contains("matricula_outbound_total"), "{figures}");
    let dump = dump(&app).await;
    assert!(dump.contains(&registered.client_key), "the dump is of this database");
    let logged = log.text();
    assert!(logged.contains("outbound.call") && logged.contains("begin_link"), "the log is of this story");
    let open_id = account["openId"].as_str().unwrap();
    let owner = &tenant.owner;
    let secret = registered.client_secret.as_str();
    let words = [
        "act.",
        "rft.",
        secret,
        "Nickname",
        open_id,
        &owner.email,
        "mls_",
        &owner.token,
        &owner.refresh,
        PASSWORD,
    ];
    let places =
        [("the database", dump), ("Redis", dump_redis(&app)), ("the log", logged), ("the figures", figures)];
    for (place, text) in places {
        for word in words {
            assert!(!text.contains(word), "{word} in {place}");
            // bytea is shown as hexadecimal.
            assert!(!text.contains(&hex(word)), "{word} in {place}, as bytes");
        }
    }
    app.stop().await.unwrap();
    platform.stop().await;
}
