//! A tenant with an app on a platform in memory, and people who use it.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    accounts::{
        Accounts, AccountsError, AccountsPorts, AppDraft, BeginLink, FinishedLink, PoolTurn, ReturnedLink,
        model::{Account, RenewalAsked, Renewed, Tokens},
        ports::{AccountsTx, AccountsUnits as _, Platforms, TokenJournal as _},
        testkit::{AccountRows, MemoryAccounts, MemoryHealth, MemoryJournal, MemoryPlatform},
    },
    identity::{
        Identity, IdentityPorts, OpenTenant, SignIn, SignInOutcome,
        ports::IdentityUnits as _,
        testkit::{MemoryCourier, MemoryDirectory, MemoryTokens, MemoryUnits, PlainHasher, SteppedCodes},
    },
    kernel::{
        actor::{Actor, Principal, Role},
        clock::Clock as _,
        ids::{AccountId, AppId, ComplianceId, GroupId, IdSource as _, MemberId},
        outbox::Origin,
        scope::TenantScope,
        secret::Secret,
        testkit::{Counted, FixedClock, ready},
    },
};

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

/// Memory adapters have nothing to wait for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    ready(future).expect("waits for nothing")
}

pub(crate) struct World {
    pub(crate) accounts: Accounts,
    pub(crate) store: MemoryAccounts,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) platform: Arc<MemoryPlatform>,
    pub(crate) health: Arc<MemoryHealth>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) scope: TenantScope,
    pub(crate) owner: Actor,
    pub(crate) app: AppId,
    people: MemoryUnits,
    ids: Arc<Counted>,
}

impl World {
    /// With one tenant, its owner in a session, and an app that was granted everything.
    pub(crate) fn new() -> Self {
        let (clock, ids) = (Arc::<FixedClock>::default(), Arc::<Counted>::default());
        let (people, store) = (MemoryUnits::default(), MemoryAccounts::default());
        let (journal, platform) = (Arc::<MemoryJournal>::default(), Arc::<MemoryPlatform>::default());
        let health = Arc::<MemoryHealth>::default();
        let identity = Arc::new(Identity::new(IdentityPorts {
            units: Arc::new(people.clone()),
            directory: Arc::<MemoryDirectory>::default(),
            hasher: Arc::<PlainHasher>::default(),
            codes: Arc::new(SteppedCodes),
            tokens: Arc::<MemoryTokens>::default(),
            courier: Arc::<MemoryCourier>::default(),
            clock: clock.clone(),
            ids: ids.clone(),
            entropy: ids.clone(),
        }));
        let (scope, owner) = now(open(&identity, &people, &ids));
        let accounts = Accounts::new(AccountsPorts {
            units: Arc::new(store.clone()),
            schedule: Arc::new(store.clone()),
            journal: journal.clone(),
            platforms: Platforms::new(vec![platform.clone()]),
            health: health.clone(),
            identity,
            clock: clock.clone(),
            ids: ids.clone(),
            entropy: ids.clone(),
            public_url: "https://m.example/".to_owned(),
        });
        let app = AppId::from_uuid(uuid::Uuid::nil());
        let mut world =
            Self { accounts, store, journal, platform, health, clock, scope, owner, app, people, ids };
        world.app = world.register(&["comments", "profile", "publish", "renew"]);
        world
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::system(ComplianceId::new(&*self.ids), "test")
    }

    pub(crate) fn wait(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    pub(crate) fn rows(&self) -> AccountRows {
        self.store.rows(self.scope)
    }

    pub(crate) fn tokens(&self, account: AccountId) -> Tokens {
        self.rows().tokens.get(&account).cloned().expect("tokens")
    }

    pub(crate) fn account(&self, account: AccountId) -> Account {
        self.rows().accounts.get(&account).cloned().expect("an account")
    }

    /// Runs a command as the door does: what fails leaves nothing.
    pub(crate) fn command<R>(
        &self,
        steps: impl AsyncFnOnce(&mut dyn AccountsTx) -> Result<R, AccountsError>,
    ) -> Result<R, AccountsError> {
        now(async {
            let mut tx = self.store.begin(self.scope, &self.origin()).await?;
            let done = steps(&mut *tx).await?;
            tx.commit().await?;
            Ok(done)
        })
    }

    pub(crate) fn draft(scopes: &[&str]) -> AppDraft {
        AppDraft {
            platform: "memory".to_owned(),
            name: "App".to_owned(),
            client_key: "key".to_owned(),
            client_secret: secret("app-secret"),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    pub(crate) fn register(&self, scopes: &[&str]) -> AppId {
        let draft =
            AppDraft { client_key: format!("key{}", self.ids.next_uuid().simple()), ..Self::draft(scopes) };
        self.command(async |tx| self.accounts.register_app(tx, &self.owner, draft).await).expect("registers")
    }

    /// A member of that role, who need not exist for identity.
    pub(crate) fn member(&self, role: Role) -> Actor {
        let member = MemberId::new(&*self.ids);
        self.store.change(self.scope, |rows| rows.members.push(member));
        let principal =
            Principal::Member { member, session: domain::kernel::ids::SessionId::new(&*self.ids), role };
        Actor { tenant: self.scope.tenant(), principal }
    }

    pub(crate) fn ask(&self) -> BeginLink {
        BeginLink { app: self.app, group: None, again: None, scopes: None }
    }

    /// The `state` of an attempt begun by the owner.
    pub(crate) fn begin(&self, ask: BeginLink) -> Secret {
        self.begin_by(&self.owner, ask)
    }

    fn begin_by(&self, actor: &Actor, ask: BeginLink) -> Secret {
        let begun = self.command(async |tx| self.accounts.begin_link(tx, actor, ask).await).expect("begins");
        let url = begun.consent_url.expose_str().expect("a text");
        let state = url.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
        secret(state)
    }

    pub(crate) fn come_back(
        &self,
        state: &Secret,
        code: Option<Secret>,
    ) -> Result<FinishedLink, AccountsError> {
        let returned = ReturnedLink { platform: "memory".to_owned(), state: state.clone(), code };
        now(self.accounts.finish_link(&self.origin(), returned))
    }

    pub(crate) fn link(&self, open_id: &str) -> AccountId {
        self.link_into(open_id, None)
    }

    pub(crate) fn link_into(&self, open_id: &str, group: Option<GroupId>) -> AccountId {
        let state = self.begin(BeginLink { group, ..self.ask() });
        match self.come_back(&state, Some(self.platform.consent(open_id))).expect("comes back") {
            FinishedLink::Linked { account, .. } => account,
            other @ FinishedLink::Failed { .. } => panic!("{other:?}"),
        }
    }

    /// One turn of the pool on everything that is due.
    pub(crate) fn turn(&self) -> PoolTurn {
        let mut all = PoolTurn::default();
        for (scope, account) in now(self.accounts.claim_due(1_000)).expect("claims") {
            if let Ok(turn) = now(self.accounts.refresh_tokens(scope, account)) {
                all.refreshed += turn.refreshed;
                all.renewed += turn.renewed;
                all.failed += turn.failed;
                all.ended += turn.ended;
            }
        }
        all
    }

    /// Lets days pass, with a turn of the pool every hour.
    pub(crate) fn live(&self, days: i64) -> PoolTurn {
        let mut all = PoolTurn::default();
        for _ in 0..days * 24 {
            self.wait(TimeDelta::hours(1));
            let turn = self.turn();
            all.refreshed += turn.refreshed;
            all.renewed += turn.renewed;
            all.failed += turn.failed;
            all.ended += turn.ended;
        }
        all
    }

    /// Takes in what the journal holds, as a worker does every now and then: how many.
    pub(crate) fn recover(&self) -> usize {
        let waiting = now(self.accounts.unrecovered()).expect("reads");
        let taken = waiting
            .into_iter()
            .filter(|(scope, account)| now(self.accounts.recover_token(*scope, *account)).expect("takes in"));
        taken.count()
    }

    /// Whether the tokens kept are the ones that work.
    pub(crate) fn works(&self, account: AccountId) -> bool {
        let (tokens, account) = (self.tokens(account), self.account(account));
        let now = self.clock.now();
        now < tokens.terms.access_expires_at
            && self.platform.lets_in(
                &account.open_id,
                &tokens.secrets.access,
                tokens.secrets.refresh.as_ref(),
            )
    }

    /// Takes an account's token out of the journal, as if it were another machine's.
    pub(crate) async fn take_journal(&self, account: AccountId) -> (TenantScope, (RenewalAsked, Renewed)) {
        let kept = self.journal.read(&self.scope, account).await.expect("reads").expect("kept");
        self.journal.forget(&self.scope, account).await.expect("forgets");
        (self.scope, kept)
    }

    /// Puts it back.
    pub(crate) async fn put_journal(
        &self,
        scope: TenantScope,
        account: AccountId,
        kept: (RenewalAsked, Renewed),
    ) {
        self.journal.keep(&scope, account, &kept.0, &kept.1).await.expect("keeps");
    }

    /// The owner is an operator from now on.
    pub(crate) fn become_operator(&self) {
        let member = self.owner.member().expect("a member");
        self.people
            .change(self.scope, |rows| rows.members.get_mut(&member).expect("there").role = Role::Operator);
    }

    /// Begins an attempt as the operator the owner has become.
    pub(crate) fn begin_as_operator(&self, group: GroupId) -> Secret {
        let (Some(member), Some(session)) = (self.owner.member(), self.owner.session()) else {
            panic!("the owner is a member in a session")
        };
        let principal = Principal::Member { member, session, role: Role::Operator };
        let operator = Actor { tenant: self.scope.tenant(), principal };
        self.begin_by(&operator, BeginLink { group: Some(group), ..self.ask() })
    }

    /// The owner's session is ended.
    pub(crate) fn end_session(&self) {
        let session = self.owner.session().expect("a session");
        let at = self.clock.now();
        self.people.change(self.scope, |rows| {
            rows.sessions.get_mut(&session).expect("there").revoked_at = Some(at);
        });
    }
}

async fn open(identity: &Identity, people: &MemoryUnits, ids: &Counted) -> (TenantScope, Actor) {
    let origin = Origin::system(ComplianceId::new(ids), "test");
    let password = || secret("correct horse battery");
    let draft = OpenTenant {
        slug: "aurora".to_owned(),
        name: "Aurora".to_owned(),
        owner_email: "owner@example.com".to_owned(),
        owner_name: "Owner".to_owned(),
        owner_password: password(),
    };
    let scope = TenantScope::of(identity.open_tenant(&origin, draft).await.expect("opens").tenant);
    let input = SignIn {
        tenant: "aurora".to_owned(),
        email: "owner@example.com".to_owned(),
        password: password(),
        second_factor: None,
    };
    let signed_in = identity.sign_in(Some(scope), &origin, input).await.expect("signs in");
    assert!(matches!(signed_in, SignInOutcome::SignedIn(_)), "the owner is let in");
    drop(people.begin(scope, &origin).await.expect("opens"));
    let session = people.rows(scope).sessions.into_values().next().expect("a session");
    let principal = Principal::Member { member: session.member, session: session.id, role: Role::Owner };
    (scope, Actor { tenant: scope.tenant(), principal })
}
