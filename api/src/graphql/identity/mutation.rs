//! What can be done in identity.

use async_graphql::{Context, ID, InputObject, Object};
use domain::{
    identity::{ApiKeyDraft, actions},
    kernel::{
        ids::{ApiKeyId, InvitationId, MemberId, SessionId},
        secret::Secret,
    },
};
use uuid::Uuid;

use super::types::{ApiKey, Invitation, Member, Permission, Role, Session};
use crate::graphql::{
    command::{app, command},
    error::ApiError,
    payload::{Named, Nothing, Shown, ShownAll, payload, text},
    reading::reading,
    scalars::{Kind, id_of},
};

async fn member_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Member>, ApiError> {
    let (actor, mut work) = reading(ctx, "member").await?;
    Ok(app(ctx).identity.member(&mut *work, &actor, MemberId::from_uuid(id)).await?.map(Into::into))
}

async fn invitation_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Invitation>, ApiError> {
    let (actor, mut work) = reading(ctx, "invitation").await?;
    let app = app(ctx);
    let found = app.identity.invitation(&mut *work, &actor, InvitationId::from_uuid(id)).await?;
    Ok(found.map(|invitation| Invitation::new(&invitation, app.clock.now())))
}

async fn session_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Session>, ApiError> {
    let (actor, mut work) = reading(ctx, "session").await?;
    let found = app(ctx).identity.session(&mut *work, &actor, SessionId::from_uuid(id)).await?;
    Ok(found.map(|session| Session::new(session, &actor)))
}

async fn api_key_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<ApiKey>, ApiError> {
    let (actor, mut work) = reading(ctx, "api_key").await?;
    Ok(app(ctx).identity.api_key(&mut *work, &actor, ApiKeyId::from_uuid(id)).await?.map(Into::into))
}

payload!(InviteMemberPayload, Shown, "inviteMember" {
    /// The invitation.
    invitation: Option<Result<Invitation, ApiError>> = |done, ctx| invitation_of(ctx, done.id).await.transpose();
    /// What the invited person accepts with, shown here only: give it to them by a way you trust.
    token: Option<String> = |done, _ctx| Some(done.secret.clone());
});
payload!(RevokeInvitationPayload, Named, "revokeInvitation" {
    /// The invitation.
    invitation: Option<Result<Invitation, ApiError>> = |done, ctx| invitation_of(ctx, done.id).await.transpose();
});
payload!(ChangeMemberRolePayload, Named, "changeMemberRole" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
});
payload!(SuspendMemberPayload, Named, "suspendMember" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
});
payload!(RestoreMemberPayload, Named, "restoreMember" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
});
payload!(StartPasswordResetPayload, Shown, "startPasswordReset" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
    /// What the member sets a new password with, shown here only: give it to them by a way you trust.
    token: Option<String> = |done, _ctx| Some(done.secret.clone());
});
payload!(ChangePasswordPayload, Named, "changePassword" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
});
payload!(RevokeSessionPayload, Named, "revokeSession" {
    /// The session.
    session: Option<Result<Session, ApiError>> = |done, ctx| session_of(ctx, done.id).await.transpose();
});
payload!(SignOutPayload, Nothing, "signOut" {
    /// Whether it was done.
    signed_out: Option<bool> = |_done, _ctx| Some(true);
});
payload!(SignOutEverywherePayload, Nothing, "signOutEverywhere" {
    /// Whether it was done.
    signed_out: Option<bool> = |_done, _ctx| Some(true);
});
payload!(EnrolTotpPayload, Shown, "enrolTotp" {
    /// An `otpauth://` address to show as a QR code, shown here only.
    provisioning_uri: Option<String> = |done, _ctx| Some(done.secret.clone());
});
payload!(ConfirmTotpPayload, ShownAll, "confirmTotp" {
    /// Codes for the day the phone is lost, each good once, shown here only.
    recovery_codes: Option<Vec<String>> = |done, _ctx| Some(done.secrets.clone());
});
payload!(DisableTotpPayload, Named, "disableTotp" {
    /// The member.
    member: Option<Result<Member, ApiError>> = |done, ctx| member_of(ctx, done.id).await.transpose();
});
payload!(IssueApiKeyPayload, Shown, "issueApiKey" {
    /// The key.
    api_key: Option<Result<ApiKey, ApiError>> = |done, ctx| api_key_of(ctx, done.id).await.transpose();
    /// What the machine sends as its bearer token, shown here only.
    key: Option<String> = |done, _ctx| Some(done.secret.clone());
});
payload!(RevokeApiKeyPayload, Named, "revokeApiKey" {
    /// The key.
    api_key: Option<Result<ApiKey, ApiError>> = |done, ctx| api_key_of(ctx, done.id).await.transpose();
});

/// Who to invite.
#[derive(InputObject)]
pub struct InviteMemberInput {
    /// Their address.
    email: String,
    /// The role to offer.
    role: Role,
}

/// Which invitation.
#[derive(InputObject)]
pub struct RevokeInvitationInput {
    /// The invitation's id.
    id: ID,
}

/// Whose role, and which.
#[derive(InputObject)]
pub struct ChangeMemberRoleInput {
    /// The member's id.
    id: ID,
    /// The role to give.
    role: Role,
}

/// Which member.
#[derive(InputObject)]
pub struct SuspendMemberInput {
    /// The member's id.
    id: ID,
}

/// Which member.
#[derive(InputObject)]
pub struct RestoreMemberInput {
    /// The member's id.
    id: ID,
}

/// Which member.
#[derive(InputObject)]
pub struct StartPasswordResetInput {
    /// The member's id.
    id: ID,
}

/// The old password and the new.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password now.
    current_password: String,
    /// The password from now on: 15 characters or more.
    new_password: String,
}

/// Which session.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// The session's id.
    id: ID,
}

/// A proof of having the second factor.
#[derive(InputObject)]
pub struct ConfirmTotpInput {
    /// The code the app shows now.
    code: String,
}

/// A proof of having the second factor.
#[derive(InputObject)]
pub struct DisableTotpInput {
    /// The code the app shows now, or a recovery code.
    code: String,
}

/// What the key is to be.
#[derive(InputObject)]
pub struct IssueApiKeyInput {
    /// What it is called.
    name: String,
    /// What it shall allow; nothing the caller may not.
    scopes: Vec<Permission>,
    /// How long it shall work, in days, 1 to 365.
    #[graphql(default = 90)]
    days: i32,
}

/// Which key.
#[derive(InputObject)]
pub struct RevokeApiKeyInput {
    /// The key's id.
    id: ID,
}

#[derive(Default)]
pub struct IdentityMutation;

#[Object]
impl IdentityMutation {
    /// Invite somebody to this tenant. Needs an idempotency key.
    async fn invite_member(
        &self,
        ctx: &Context<'_>,
        input: InviteMemberInput,
    ) -> Option<Result<InviteMemberPayload, ApiError>> {
        let done = command(ctx, actions::INVITE_MEMBER, |app, actor, work| {
            Box::pin(async move {
                let invited =
                    app.identity.invite_member(work, actor, &input.email, input.role.into()).await?;
                Ok(Shown { id: invited.invitation.uuid(), secret: text(&invited.token) })
            })
        });
        Some(done.await.map(InviteMemberPayload))
    }

    /// Take an open invitation back.
    async fn revoke_invitation(
        &self,
        ctx: &Context<'_>,
        input: RevokeInvitationInput,
    ) -> Option<Result<RevokeInvitationPayload, ApiError>> {
        let done = command(ctx, actions::REVOKE_INVITATION, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Invitation, &input.id)?;
                app.identity.revoke_invitation(work, actor, InvitationId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RevokeInvitationPayload))
    }

    /// Give a member another role. Works at once, in open sessions too.
    async fn change_member_role(
        &self,
        ctx: &Context<'_>,
        input: ChangeMemberRoleInput,
    ) -> Option<Result<ChangeMemberRolePayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_MEMBER_ROLE, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Member, &input.id)?;
                let role = input.role.into();
                app.identity.change_member_role(work, actor, MemberId::from_uuid(id), role).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangeMemberRolePayload))
    }

    /// Keep a member from signing in, and end their sessions.
    async fn suspend_member(
        &self,
        ctx: &Context<'_>,
        input: SuspendMemberInput,
    ) -> Option<Result<SuspendMemberPayload, ApiError>> {
        let done = command(ctx, actions::SUSPEND_MEMBER, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Member, &input.id)?;
                app.identity.suspend_member(work, actor, MemberId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(SuspendMemberPayload))
    }

    /// Let a suspended member sign in again.
    async fn restore_member(
        &self,
        ctx: &Context<'_>,
        input: RestoreMemberInput,
    ) -> Option<Result<RestoreMemberPayload, ApiError>> {
        let done = command(ctx, actions::RESTORE_MEMBER, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Member, &input.id)?;
                app.identity.restore_member(work, actor, MemberId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RestoreMemberPayload))
    }

    /// Make a one-time token with which a member sets a new password. Needs an idempotency key.
    async fn start_password_reset(
        &self,
        ctx: &Context<'_>,
        input: StartPasswordResetInput,
    ) -> Option<Result<StartPasswordResetPayload, ApiError>> {
        let done = command(ctx, actions::START_PASSWORD_RESET, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Member, &input.id)?;
                let token = app.identity.start_password_reset(work, actor, MemberId::from_uuid(id)).await?;
                Ok(Shown { id, secret: text(&token) })
            })
        });
        Some(done.await.map(StartPasswordResetPayload))
    }

    /// Set a new password, knowing the old. Ends the member's other sessions.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        input: ChangePasswordInput,
    ) -> Option<Result<ChangePasswordPayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_PASSWORD, |app, actor, work| {
            Box::pin(async move {
                let (current, new) = (Secret::from(input.current_password), Secret::from(input.new_password));
                app.identity.change_password(work, actor, &current, &new).await?;
                Ok(Named { id: actor.member().map(MemberId::uuid).unwrap_or_default() })
            })
        });
        Some(done.await.map(ChangePasswordPayload))
    }

    /// End a session: one's own, or anybody's when managing members.
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        input: RevokeSessionInput,
    ) -> Option<Result<RevokeSessionPayload, ApiError>> {
        let done = command(ctx, actions::REVOKE_SESSION, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Session, &input.id)?;
                app.identity.revoke_session(work, actor, SessionId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RevokeSessionPayload))
    }

    /// End the session this is sent in.
    async fn sign_out(&self, ctx: &Context<'_>) -> Option<Result<SignOutPayload, ApiError>> {
        let done = command(ctx, actions::SIGN_OUT, |app, actor, work| {
            Box::pin(async move {
                app.identity.sign_out(work, actor).await?;
                Ok(Nothing {})
            })
        });
        Some(done.await.map(SignOutPayload))
    }

    /// End all sessions of the member asking, this one too.
    async fn sign_out_everywhere(
        &self,
        ctx: &Context<'_>,
    ) -> Option<Result<SignOutEverywherePayload, ApiError>> {
        let done = command(ctx, actions::SIGN_OUT_EVERYWHERE, |app, actor, work| {
            Box::pin(async move {
                app.identity.sign_out_everywhere(work, actor).await?;
                Ok(Nothing {})
            })
        });
        Some(done.await.map(SignOutEverywherePayload))
    }

    /// Begin to set up a second factor. It is not asked for until it is confirmed. Needs an idempotency key.
    async fn enrol_totp(&self, ctx: &Context<'_>) -> Option<Result<EnrolTotpPayload, ApiError>> {
        let done = command(ctx, actions::ENROL_TOTP, |app, actor, work| {
            Box::pin(async move {
                let enrolment = app.identity.enrol_totp(work, actor).await?;
                let id = actor.member().map(MemberId::uuid).unwrap_or_default();
                Ok(Shown { id, secret: text(&enrolment.provisioning_uri) })
            })
        });
        Some(done.await.map(EnrolTotpPayload))
    }

    /// Prove to have the second factor; from now on it is asked for. Needs an idempotency key.
    async fn confirm_totp(
        &self,
        ctx: &Context<'_>,
        input: ConfirmTotpInput,
    ) -> Option<Result<ConfirmTotpPayload, ApiError>> {
        let done = command(ctx, actions::CONFIRM_TOTP, |app, actor, work| {
            Box::pin(async move {
                let codes = app.identity.confirm_totp(work, actor, &Secret::from(input.code)).await?;
                Ok(ShownAll { secrets: codes.iter().map(text).collect() })
            })
        });
        Some(done.await.map(ConfirmTotpPayload))
    }

    /// Give the second factor up, with a code of it.
    async fn disable_totp(
        &self,
        ctx: &Context<'_>,
        input: DisableTotpInput,
    ) -> Option<Result<DisableTotpPayload, ApiError>> {
        let done = command(ctx, actions::DISABLE_TOTP, |app, actor, work| {
            Box::pin(async move {
                app.identity.disable_totp(work, actor, &Secret::from(input.code)).await?;
                Ok(Named { id: actor.member().map(MemberId::uuid).unwrap_or_default() })
            })
        });
        Some(done.await.map(DisableTotpPayload))
    }

    /// Give a machine a key to this tenant. Needs an idempotency key.
    async fn issue_api_key(
        &self,
        ctx: &Context<'_>,
        input: IssueApiKeyInput,
    ) -> Option<Result<IssueApiKeyPayload, ApiError>> {
        let done = command(ctx, actions::ISSUE_API_KEY, |app, actor, work| {
            Box::pin(async move {
                let draft = ApiKeyDraft {
                    name: input.name,
                    scopes: input.scopes.into_iter().map(Into::into).collect(),
                    days: i64::from(input.days),
                };
                let issued = app.identity.issue_api_key(work, actor, draft).await?;
                Ok(Shown { id: issued.id.uuid(), secret: text(&issued.key) })
            })
        });
        Some(done.await.map(IssueApiKeyPayload))
    }

    /// Take a machine's key back, at once.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        input: RevokeApiKeyInput,
    ) -> Option<Result<RevokeApiKeyPayload, ApiError>> {
        let done = command(ctx, actions::REVOKE_API_KEY, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::ApiKey, &input.id)?;
                app.identity.revoke_api_key(work, actor, ApiKeyId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RevokeApiKeyPayload))
    }
}
