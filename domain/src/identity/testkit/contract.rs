//! What every adapter of identity's stores keeps to: one function to run on each of them.

use chrono::TimeDelta;

use crate::{
    identity::{
        actions,
        model::{
            Closing, EmailAddress, Invitation, Member, MemberStatus, PasswordReset, RecoveryCode,
            RefreshToken, Session, Slug, Tenant, TenantStatus,
        },
        ports::{Added, IdentityUnit, IdentityUnits},
    },
    kernel::{
        actor::Role,
        clock::Timestamp,
        fault::{PortError, Retry},
        ids::{
            ComplianceId, IdSource, InvitationId, MemberId, PasswordResetId, RefreshTokenId, SessionId,
            TenantId,
        },
        outbox::{Mfa, Origin, Party, Record},
        page::{Direction, PageRequest},
        scope::TenantScope,
    },
};

/// A new tenant under a name of its own, on the adapter to be tried.
struct Trial<'a> {
    units: &'a dyn IdentityUnits,
    ids: &'a dyn IdSource,
    scope: TenantScope,
    now: Timestamp,
}

/// What [`crate::identity::ports`] promises of stores, tried on `units` in a new tenant called `slug`.
///
/// # Errors
/// The adapter did not answer.
///
/// # Panics
/// It answered otherwise than promised.
pub async fn stores_keep_their_promises(
    units: &dyn IdentityUnits,
    ids: &dyn IdSource,
    slug: Slug,
    now: Timestamp,
) -> Result<(), PortError> {
    let trial = Trial { units, ids, scope: TenantScope::of(TenantId::new(ids)), now };
    let tenant = Tenant::open(trial.scope.tenant(), slug, "Trial", now);
    let tenant = tenant.map_err(|problem| PortError::lasting("contract", problem))?;
    let mut unit = trial.begin().await?;
    assert_eq!(unit.tenant().await?, None, "not before it is opened");
    unit.add_tenant(&tenant).await?;
    unit.commit().await?;
    let mut unit = trial.begin().await?;
    assert_eq!(unit.tenant().await?, Some(tenant));
    drop(unit);
    trial.closings().await?;
    let member = trial.members().await?;
    trial.sessions(member).await?;
    trial.one_time(member).await
}

fn email(local: &str) -> Result<EmailAddress, PortError> {
    EmailAddress::parse(&format!("{local}@example.com"))
        .map_err(|fault| PortError::lasting("contract", fault))
}

impl Trial<'_> {
    /// Closed and taken back, a tenant is as before.
    async fn closings(&self) -> Result<(), PortError> {
        let closing = Closing {
            closed_at: self.now,
            ends_at: self.now + TimeDelta::days(30),
            before: TenantStatus::Suspended,
            is_put_back: false,
            begun_at: None,
            ended_at: None,
        };
        let mut unit = self.begin().await?;
        assert_eq!(unit.closing().await?, None);
        unit.close(&closing).await?;
        unit.commit().await?;
        let status = |tenant: Option<Tenant>| tenant.map(|tenant| tenant.status);
        let mut unit = self.begin().await?;
        assert_eq!(unit.closing().await?, Some(closing));
        assert_eq!(status(unit.tenant().await?), Some(TenantStatus::Closed));
        unit.reopen(TenantStatus::Active).await?;
        unit.commit().await?;
        let mut unit = self.begin().await?;
        assert_eq!(unit.closing().await?, None);
        assert_eq!(status(unit.tenant().await?), Some(TenantStatus::Active));
        Ok(())
    }

    async fn begin(&self) -> Result<Box<dyn IdentityUnit>, PortError> {
        let origin = Origin::system(ComplianceId::new(self.ids), "contract");
        self.units.begin(self.scope, &origin).await
    }

    fn member(&self, local: &str, role: Role) -> Result<Member, PortError> {
        Ok(Member {
            id: MemberId::new(self.ids),
            email: email(local)?,
            name: local.to_owned(),
            role,
            status: MemberStatus::Active,
            password_hash: "plain$".to_owned(),
            totp: None,
            created_at: self.now,
            version: 1,
        })
    }

    /// Addresses are taken once, versions count, what is dropped is gone. Gives an owner.
    async fn members(&self) -> Result<MemberId, PortError> {
        let owner = self.member("owner", Role::Owner)?;
        let mut unit = self.begin().await?;
        assert_eq!(unit.add_member(&owner).await?, Added::New);
        unit.record(Record::success(actions::OPEN_TENANT, Party::ANONYMOUS)).await?;
        drop(unit);
        let mut unit = self.begin().await?;
        assert_eq!(unit.member(owner.id).await?, None, "dropped without a commit");
        unit.add_member(&owner).await?;
        unit.commit().await?;
        let mut unit = self.begin().await?;
        assert_eq!(unit.add_member(&self.member("owner", Role::Analyst)?).await?, Added::Taken);
        drop(unit);
        let mut unit = self.begin().await?;
        assert_eq!(unit.member_by_email(&owner.email).await?.as_ref(), Some(&owner));
        assert_eq!(unit.member_by_email(&email("nobody")?).await?, None);
        assert_eq!((unit.lock_owners().await?, unit.lock_seats(self.now).await?), (1, 1));
        unit.update_member(&Member { name: "Renamed".to_owned(), ..owner.clone() }).await?;
        let renamed = unit.lock_member(owner.id).await?;
        assert_eq!(renamed.map(|member| (member.name, member.version)), Some(("Renamed".to_owned(), 2)));
        let stale = unit.update_member(&owner).await.map_err(|fault| fault.retry);
        assert_eq!(stale, Err(Retry::AfterReread), "read before it was renamed");
        unit.commit().await?;
        Ok(owner.id)
    }

    /// A session is ended once, and what is ended is neither touched nor listed as ended again.
    async fn sessions(&self, member: MemberId) -> Result<(), PortError> {
        let (now, later) = (self.now, self.now + TimeDelta::seconds(1));
        let session = || Session {
            id: SessionId::new(self.ids),
            member,
            created_at: now,
            last_seen_at: now,
            expires_at: Session::expiry(now),
            revoked_at: None,
            device: Some("device".to_owned()),
            geo: None,
            mfa: Mfa::NotEnrolled,
        };
        let (first, second, kept) = (session(), session(), session());
        let mut unit = self.begin().await?;
        assert!(!unit.knows_device(member, "device").await?);
        for session in [&first, &second, &kept] {
            unit.add_session(session).await?;
        }
        assert!(unit.knows_device(member, "device").await?);
        let stranger = MemberId::new(self.ids);
        let mut all = [first.id, second.id, kept.id];
        // Made at one instant, they are listed by their ids.
        all.sort_unstable_by_key(|id| id.uuid());
        for (limit, direction, wanted) in [
            (9, Direction::Forward, &all[..]),
            (2, Direction::Forward, &all[..2]),
            (2, Direction::Backward, &all[1..]),
        ] {
            let page = PageRequest { limit, from: None, direction };
            let pages = unit.sessions_of(&[stranger, member, member], now, page).await?;
            let ids = |member| -> Vec<SessionId> {
                let page = pages.get(&member).into_iter();
                page.flat_map(|page| page.items.iter().map(|session| session.id)).collect()
            };
            assert_eq!((&*ids(member), ids(stranger)), (wanted, Vec::new()), "{limit} {direction:?}");
            assert_eq!(pages[&member].more, limit == 2);
        }
        assert!(unit.touch_session(first.id, later).await?);
        unit.end_session(first.id, now).await?;
        unit.end_session(first.id, later).await?;
        assert!(!unit.touch_session(first.id, later).await?, "it was ended");
        let ended = unit.session(first.id).await?;
        assert_eq!(ended.map(|s| (s.last_seen_at, s.revoked_at)), Some((later, Some(now))));
        assert_eq!(unit.end_sessions(member, Some(kept.id), later).await?, [second.id]);
        let (id, secret_hash) = (RefreshTokenId::new(self.ids), [1; 32]);
        let token = RefreshToken { id, session: kept.id, secret_hash, created_at: now, used_at: None };
        unit.add_refresh_token(&token).await?;
        let used = RefreshToken { used_at: Some(later), ..token };
        unit.update_refresh_token(&used).await?;
        assert_eq!(unit.refresh_token(id).await?, Some(used));
        unit.commit().await
    }

    /// Codes and resets work once; resets and invitations are over exactly when they say.
    async fn one_time(&self, member: MemberId) -> Result<(), PortError> {
        let now = self.now;
        let mut unit = self.begin().await?;
        unit.put_recovery_codes(member, &[RecoveryCode { hash: [2; 32], used_at: None }]).await?;
        assert!(!unit.use_recovery_code(member, [3; 32], now).await?);
        assert!(unit.use_recovery_code(member, [2; 32], now).await?);
        assert!(!unit.use_recovery_code(member, [2; 32], now).await?, "used");
        let (id, expires_at) = (PasswordResetId::new(self.ids), PasswordReset::expiry(now));
        let reset =
            PasswordReset { id, member, secret_hash: [4; 32], created_at: now, expires_at, used_at: None };
        unit.add_password_reset(&reset).await?;
        let before = expires_at - TimeDelta::microseconds(1);
        assert_eq!(unit.open_password_resets(member, before).await?, 1);
        assert_eq!(unit.open_password_resets(member, expires_at).await?, 0);
        unit.use_password_resets(member, now).await?;
        unit.use_password_resets(member, before).await?;
        let used = unit.password_reset(id).await?;
        assert_eq!(used.and_then(|reset| reset.used_at), Some(now), "used up the first time");
        let invitation = Invitation {
            id: InvitationId::new(self.ids),
            email: email("invited")?,
            role: Role::Analyst,
            invited_by: Some(member),
            secret_hash: [5; 32],
            created_at: now,
            expires_at: Invitation::expiry(now),
            accepted_at: None,
            revoked_at: None,
        };
        unit.add_invitation(&invitation).await?;
        let over = invitation.expires_at;
        let before = over - TimeDelta::microseconds(1);
        assert_eq!((unit.lock_seats(before).await?, unit.lock_seats(over).await?), (2, 1));
        assert_eq!(unit.open_invitation(&invitation.email, before).await?.as_ref(), Some(&invitation));
        assert_eq!(unit.open_invitation(&invitation.email, over).await?, None);
        let revoked = Invitation { revoked_at: Some(now), ..invitation };
        unit.update_invitation(&revoked).await?;
        assert_eq!(unit.open_invitation(&revoked.email, now).await?, None);
        assert_eq!(unit.invitation(revoked.id).await?, Some(revoked));
        unit.commit().await
    }
}
