//! What the accounts' stores promise, on the database itself: every field comes back, what is older never wins, another
//! tenant has none of it, and nothing that says who somebody is or lets one act for them is readable in a row.

mod claims;
mod lists;
mod rows;
mod sharing;
mod walls;

use domain::{
    accounts::{
        model::{
            Account, AccountState, App, AppState, Group, Link, LinkOutcome, LinkStep, Profile, Reach,
            TokenSecrets, TokenTerms, Tokens, TraceEntry,
        },
        ports::AccountQuery,
    },
    identity::model::EmailAddress,
    kernel::{
        clock::Timestamp,
        fault::{PortError, Retry},
        ids::{AccountId, AppId, GroupId, LinkId, MemberId, SessionId},
        page::{Direction, PageRequest},
        platform::PlatformKey,
        scope::TenantScope,
        secret::Secret,
    },
    work::Work,
};
use harness::{
    app::{TestApp, TestTenant},
    client::PATIENCE,
};
use infra::{
    postgres::{Db, PgTokenSchedule, PoolSettings},
    system::System,
};

/// An instant that no clock shows: what is due then is found by nobody but the test.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(4_102_444_800 + seconds, 123_456_000).unwrap()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn first(limit: u16) -> PageRequest {
    PageRequest { limit, from: None, direction: Direction::Forward }
}

fn all_accounts() -> AccountQuery {
    AccountQuery { reach: Reach::All, groups: None, app: None, tags: Vec::new(), state: None }
}

/// Whether asking again helps, of what was refused.
fn retry<T: std::fmt::Debug>(result: Result<T, PortError>) -> Retry {
    result.unwrap_err().retry
}

struct Trial {
    app: TestApp,
    home: TestTenant,
}

impl Trial {
    async fn start() -> Self {
        let app = TestApp::start().await.unwrap();
        let home = app.tenant().await.unwrap();
        Self { app, home }
    }

    fn scope(&self) -> TenantScope {
        TenantScope::of(self.home.id)
    }

    async fn begin(&self) -> Box<dyn Work> {
        self.begin_as(&self.home).await
    }

    async fn begin_as(&self, tenant: &TestTenant) -> Box<dyn Work> {
        let units = &self.app.service.parts.app.units;
        units.begin(TenantScope::of(tenant.id), &self.app.origin("accounts_stores")).await.unwrap()
    }

    fn schedule(&self) -> PgTokenSchedule {
        PgTokenSchedule::new(Db::connect(self.app.app_url(), PoolSettings::default()).unwrap())
    }

    async fn owner(&self, tenant: &TestTenant) -> MemberId {
        let mut work = self.begin_as(tenant).await;
        let address = EmailAddress::parse(&tenant.owner.email).unwrap();
        work.member_by_email(&address).await.unwrap().unwrap().id
    }

    /// An app in the store.
    async fn has_app(&self, client_key: &str) -> App {
        let app = app_called(client_key);
        let mut work = self.begin().await;
        assert!(work.add_app(&app, &secret("the-client-secret")).await.unwrap());
        work.commit().await.unwrap();
        app
    }

    /// A group in the store.
    async fn has_group(&self, name: &str, parent: Option<GroupId>) -> Group {
        let id = GroupId::new(&System);
        let group = Group { id, parent, name: name.to_owned(), created_at: at(0), version: 1 };
        let mut work = self.begin().await;
        work.add_group(&group).await.unwrap();
        work.commit().await.unwrap();
        group
    }

    /// An account in the store.
    async fn has_account(&self, account: Account) -> Account {
        let mut work = self.begin().await;
        work.add_account(&account).await.unwrap();
        work.commit().await.unwrap();
        account
    }

    /// An account with tokens that are due at an instant.
    async fn has_scheduled(&self, app: &App, open_id: &str, due_at: Timestamp) -> AccountId {
        let account = self.has_account(account_of(app, open_id)).await;
        let mut work = self.begin().await;
        work.put_tokens(&tokens_of(&account)).await.unwrap();
        work.schedule_tokens(account.id, Some(due_at)).await.unwrap();
        work.commit().await.unwrap();
        account.id
    }

    /// Waits until somebody waits for a lock.
    async fn somebody_waits(&self) {
        let mut database = self.app.superuser_connection().await.unwrap();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !sqlx::query_scalar::<_, bool>(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                                WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&mut database)
            .await
            .unwrap()
            {}
        });
        waited.await.expect("nobody has to wait");
    }

    async fn stop(self) {
        self.app.stop().await.unwrap();
    }
}

fn app_called(client_key: &str) -> App {
    App {
        id: AppId::new(&System),
        platform: PlatformKey::parse("douyin").unwrap(),
        name: "Our app".to_owned(),
        client_key: client_key.to_owned(),
        scopes: words(&["user_info", "video.create.bind"]),
        scopes_off: words(&["user_info"]),
        state: AppState::Active,
        created_at: at(0),
        version: 1,
    }
}

fn account_of(app: &App, open_id: &str) -> Account {
    Account {
        id: AccountId::new(&System),
        app: app.id,
        platform: app.platform.clone(),
        open_id: open_id.to_owned(),
        profile: Profile {
            nickname: "王小明 the-nickname".to_owned(),
            avatar: Some("https://example.com/the-avatar.jpeg".to_owned()),
            kind: Some("EAccountM".to_owned()),
            union_id: Some("the-union-id".to_owned()),
        },
        group: None,
        tags: words(&["autumn", "shoes"]),
        state: AccountState::Connected,
        paused: None,
        created_at: at(0),
        version: 1,
    }
}

fn tokens_of(account: &Account) -> Tokens {
    Tokens {
        account: account.id,
        app: account.app,
        terms: TokenTerms {
            scopes: words(&["user_info"]),
            consented_at: at(0),
            access_issued_at: at(1),
            access_expires_at: at(15),
            refresh_expires_at: Some(at(30)),
            refresh_life_s: 30,
            renewals_used: 2,
            renewals_max: 5,
            renewing_since: Some(at(9)),
            refreshed_at: at(8),
            last_error: Some("code 10010".to_owned()),
            failures: 3,
            version: 1,
        },
        secrets: TokenSecrets { access: secret("act.the-access"), refresh: Some(secret("rft.the-refresh")) },
    }
}

fn link_of(app: &App, member: MemberId) -> Link {
    let entry =
        |step, detail: Option<&str>| TraceEntry { at: at(1), step, detail: detail.map(str::to_owned) };
    Link {
        id: LinkId::new(&System),
        app: app.id,
        platform: app.platform.clone(),
        member,
        session: SessionId::new(&System),
        secret_hash: [7; 32],
        verifier: Some(secret("the-verifier")),
        scopes: words(&["user_info"]),
        group: Some(GroupId::new(&System)),
        again: Some(AccountId::new(&System)),
        created_at: at(0),
        returned_at: None,
        outcome: LinkOutcome::Open,
        trace: vec![entry(LinkStep::Begun, None), entry(LinkStep::CodeExchanged, Some("code 10007"))],
    }
}
