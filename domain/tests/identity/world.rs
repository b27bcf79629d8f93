//! An installation in memory, and people who use it.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    identity::{
        AcceptInvitation, ApiKeyDraft, Credential, Identity, IdentityError, IdentityPorts, Invited,
        IssuedApiKey, OpenTenant, ResetPassword, SecondFactor, SignIn, SignInOutcome, SignedIn, TokenPair,
        ports::{IdentityTx, IdentityUnits as _},
        testkit::{
            MemoryCourier, MemoryDirectory, MemoryTokens, MemoryUnits, PlainHasher, Rows, SteppedCodes,
        },
    },
    kernel::{
        actor::{Actor, Permission, Role},
        clock::{Clock as _, Timestamp},
        ids::{ComplianceId, MemberId, SessionId, TenantId},
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
        secret::Secret,
        testkit::{Counted, FixedClock, ready},
    },
};

/// What everybody's password is at first.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The first owner's address, in every tenant.
pub(crate) const OWNER: &str = "owner@example.com";

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

pub(crate) fn text(secret: &Secret) -> &str {
    secret.expose_str().expect("a text")
}

/// Memory adapters have nothing to wait for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    ready(future).expect("waits for nothing")
}

/// An actor of the installation itself.
pub(crate) fn system(scope: TenantScope) -> Actor {
    Actor { tenant: scope.tenant(), principal: domain::kernel::actor::Principal::System }
}

/// The word a role's member is called by: `admin@example.com`.
pub(crate) fn email_of(role: Role) -> String {
    format!("{}@example.com", role.as_str())
}

pub(crate) struct World {
    pub(crate) identity: Identity,
    pub(crate) units: MemoryUnits,
    pub(crate) hasher: Arc<PlainHasher>,
    pub(crate) tokens: Arc<MemoryTokens>,
    pub(crate) courier: Arc<MemoryCourier>,
    pub(crate) clock: Arc<FixedClock>,
    ids: Arc<Counted>,
}

/// An open tenant and its first owner, signed in.
pub(crate) struct Home {
    pub(crate) scope: TenantScope,
    pub(crate) owner: Actor,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let (units, clock, ids) = (MemoryUnits::default(), Arc::<FixedClock>::default(), Arc::default());
        let (hasher, tokens, courier) = (Arc::default(), Arc::default(), Arc::default());
        let identity = Identity::new(IdentityPorts {
            units: Arc::new(units.clone()),
            directory: Arc::<MemoryDirectory>::default(),
            hasher: Arc::<PlainHasher>::clone(&hasher),
            codes: Arc::new(SteppedCodes),
            tokens: Arc::<MemoryTokens>::clone(&tokens),
            courier: Arc::<MemoryCourier>::clone(&courier),
            clock: Arc::<FixedClock>::clone(&clock),
            ids: Arc::<Counted>::clone(&ids),
            entropy: Arc::<Counted>::clone(&ids),
        });
        Arc::new(Self { identity, units, hasher, tokens, courier, clock, ids })
    }

    /// A world with one tenant, `aurora`.
    pub(crate) fn with_home() -> (Arc<Self>, Home) {
        let world = Self::new();
        let home = world.open("aurora");
        (world, home)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin { actor: Party::ANONYMOUS, ..Origin::system(ComplianceId::new(&*self.ids), "test") }
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn wait(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    pub(crate) fn draft(slug: &str) -> OpenTenant {
        OpenTenant {
            slug: slug.to_owned(),
            name: slug.to_owned(),
            owner_email: OWNER.to_owned(),
            owner_name: "Owner".to_owned(),
            owner_password: secret(PASSWORD),
        }
    }

    pub(crate) fn open(&self, slug: &str) -> Home {
        let opened = now(self.identity.open_tenant(&self.origin(), Self::draft(slug))).expect("opens");
        let scope = TenantScope::of(opened.tenant);
        Home { scope, owner: self.acting(scope, OWNER) }
    }

    pub(crate) fn rows(&self, scope: TenantScope) -> Rows {
        self.units.rows(scope)
    }

    pub(crate) fn last_record(&self, scope: TenantScope) -> Record {
        self.rows(scope).last_record().expect("a record").clone()
    }

    /// Outcome and reason of the newest record of that action; nothing when another came after it.
    pub(crate) fn last_told(
        &self,
        scope: TenantScope,
        action: &str,
    ) -> Option<(Outcome, Option<&'static str>)> {
        let record = self.last_record(scope);
        (record.action.name == action).then_some((record.outcome, record.reason))
    }

    pub(crate) fn try_sign_in(
        &self,
        scope: Option<TenantScope>,
        email: &str,
        password: &str,
        second_factor: Option<SecondFactor>,
    ) -> SignInOutcome {
        self.sign_in_from(&self.origin(), scope, email, password, second_factor)
    }

    pub(crate) fn sign_in_from(
        &self,
        origin: &Origin,
        scope: Option<TenantScope>,
        email: &str,
        password: &str,
        second_factor: Option<SecondFactor>,
    ) -> SignInOutcome {
        let (tenant, email, password) = ("aurora".to_owned(), email.to_owned(), secret(password));
        let input = SignIn { tenant, email, password, second_factor };
        now(self.identity.sign_in(scope, origin, input)).expect("answers")
    }

    /// Signs in who has no second factor.
    pub(crate) fn sign_in(&self, scope: TenantScope, email: &str) -> TokenPair {
        signed_in(self.try_sign_in(Some(scope), email, PASSWORD, None)).expect("signs in")
    }

    pub(crate) fn authenticate(&self, credential: &Secret) -> Option<SignedIn> {
        let credential = Credential::Bearer(credential.clone());
        now(self.identity.authenticate(&self.origin(), &credential)).expect("answers")
    }

    /// Who that is, signed in anew.
    pub(crate) fn acting(&self, scope: TenantScope, email: &str) -> Actor {
        let pair = self.sign_in(scope, email);
        self.authenticate(&pair.access_token).expect("is let in").actor
    }

    pub(crate) fn refresh(&self, token: &Secret) -> Option<TokenPair> {
        now(self.identity.refresh_session(&self.origin(), token)).expect("answers")
    }

    /// Does a command as its door does: commits what was done, and drops what was not.
    pub(crate) fn command<T>(
        &self,
        actor: &Actor,
        act: impl AsyncFnOnce(&mut dyn IdentityTx) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        now(async {
            let mut unit = self.units.begin(actor.scope(), &self.origin()).await?;
            let done = act(&mut *unit).await?;
            unit.commit().await?;
            Ok(done)
        })
    }

    pub(crate) fn invite(&self, actor: &Actor, email: &str, role: Role) -> Result<Invited, IdentityError> {
        self.command(actor, async |tx| self.identity.invite_member(tx, actor, email, role).await)
    }

    pub(crate) fn accept(&self, token: &Secret) -> Result<MemberId, IdentityError> {
        let (token, password) = (token.clone(), secret(PASSWORD));
        let input = AcceptInvitation { token, name: "New".to_owned(), password };
        now(self.identity.accept_invitation(&self.origin(), input))
    }

    /// A new member, signed in.
    pub(crate) fn join(&self, home: &Home, email: &str, role: Role) -> Actor {
        let invited = self.invite(&home.owner, email, role).expect("is invited");
        self.accept(&invited.token).expect("joins");
        self.acting(home.scope, email)
    }

    /// A new member of that role under [`email_of`], signed in; the owner there is for [`Role::Owner`].
    pub(crate) fn of_role(&self, home: &Home, role: Role) -> Actor {
        if role == Role::Owner { home.owner.clone() } else { self.join(home, &email_of(role), role) }
    }

    pub(crate) fn change_role(&self, actor: &Actor, id: MemberId, role: Role) -> Result<(), IdentityError> {
        self.command(actor, async |tx| self.identity.change_member_role(tx, actor, id, role).await)
    }

    pub(crate) fn suspend(&self, actor: &Actor, id: MemberId) -> Result<(), IdentityError> {
        self.command(actor, async |tx| self.identity.suspend_member(tx, actor, id).await)
    }

    pub(crate) fn restore(&self, actor: &Actor, id: MemberId) -> Result<(), IdentityError> {
        self.command(actor, async |tx| self.identity.restore_member(tx, actor, id).await)
    }

    pub(crate) fn revoke_session(&self, actor: &Actor, id: SessionId) -> Result<(), IdentityError> {
        self.command(actor, async |tx| self.identity.revoke_session(tx, actor, id).await)
    }

    pub(crate) fn issue_key(
        &self,
        actor: &Actor,
        scopes: &[Permission],
        days: i64,
    ) -> Result<IssuedApiKey, IdentityError> {
        let draft = ApiKeyDraft { name: "machine".to_owned(), scopes: scopes.to_vec(), days };
        self.command(actor, async |tx| self.identity.issue_api_key(tx, actor, draft).await)
    }

    pub(crate) fn change_password(
        &self,
        actor: &Actor,
        current: &str,
        new: &str,
    ) -> Result<(), IdentityError> {
        let (current, new) = (secret(current), secret(new));
        self.command(actor, async |tx| self.identity.change_password(tx, actor, &current, &new).await)
    }

    pub(crate) fn start_reset(&self, actor: &Actor, id: MemberId) -> Result<Secret, IdentityError> {
        self.command(actor, async |tx| self.identity.start_password_reset(tx, actor, id).await)
    }

    /// Asks for a reset by mail, and gives what was sent.
    pub(crate) fn request_reset(&self, scope: TenantScope, email: &str) -> Option<Secret> {
        let before = self.courier.sent().len();
        now(self.identity.request_password_reset(scope, &self.origin(), email)).expect("answers");
        self.courier.sent().get(before).map(|letter| letter.token.clone())
    }

    pub(crate) fn reset(&self, token: &Secret, password: &str) -> Result<(), IdentityError> {
        let input = ResetPassword { token: token.clone(), password: secret(password) };
        now(self.identity.reset_password(&self.origin(), input))
    }
}

pub(crate) fn signed_in(outcome: SignInOutcome) -> Option<TokenPair> {
    match outcome {
        SignInOutcome::SignedIn(pair) => Some(pair),
        SignInOutcome::SecondFactorNeeded | SignInOutcome::Refused => None,
    }
}

pub(crate) fn is_refused(outcome: &SignInOutcome) -> bool {
    matches!(outcome, SignInOutcome::Refused)
}

pub(crate) fn id_of(actor: &Actor) -> MemberId {
    actor.member().expect("a member")
}

/// A tenant that nobody opened.
pub(crate) fn nowhere() -> TenantScope {
    TenantScope::of(TenantId::from_uuid(uuid::Uuid::from_u128(0xdead)))
}
