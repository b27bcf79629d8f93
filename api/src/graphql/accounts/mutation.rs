//! What can be done with accounts.

use async_graphql::{Context, ID, MaybeUndefined, Object};
use chrono::{DateTime, Utc};
use domain::{
    accounts::{AppChange, AppDraft, BeginLink, actions},
    kernel::{
        ids::{AccountId, AppId, GroupId, MemberId},
        secret::Secret,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Account, App, Group, Link,
    inputs::{
        BeginLinkInput, ChangeAppInput, ChangeGroupInput, CreateGroupInput, GrantGroupInput,
        PauseAccountInput, PlaceAccountInput, RefreshAccountInput, RegisterAppInput, RemoveAppInput,
        RemoveGroupInput, ResumeAccountInput, RevokeGroupInput, TagAccountInput, UnlinkAccountInput,
    },
    query::{one_account, one_app, one_group, one_link},
};
use crate::graphql::{
    command::command,
    error::{ApiError, Failure},
    payload::{Named, payload, text},
    scalars::{Kind, global_id, id_in, id_of},
};

/// What is left of an attempt begun.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    id: Uuid,
    consent_url: String,
    expires_at_us: i64,
}

async fn app_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<App>, ApiError> {
    one_app(ctx, &global_id(Kind::App, id)).await
}

async fn account_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Account>, ApiError> {
    one_account(ctx, &global_id(Kind::Account, id)).await
}

async fn group_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Group>, ApiError> {
    one_group(ctx, &global_id(Kind::Group, id)).await
}

async fn link_of(ctx: &Context<'_>, id: Uuid) -> Result<Option<Link>, ApiError> {
    one_link(ctx, &global_id(Kind::Link, id)).await
}

/// The id an input field names, when it is given.
fn maybe(field: &str, kind: Kind, id: Option<&ID>) -> Result<Option<Uuid>, Failure> {
    id.map(|id| id_in(field, kind, id)).transpose()
}

payload!(RegisterAppPayload, Named, "registerApp" {
    /// The app.
    app: Option<Result<App, ApiError>> = |done, ctx| app_of(ctx, done.id).await.transpose();
});
payload!(ChangeAppPayload, Named, "changeApp" {
    /// The app.
    app: Option<Result<App, ApiError>> = |done, ctx| app_of(ctx, done.id).await.transpose();
});
payload!(RemoveAppPayload, Named, "removeApp" {
    /// The id of what was removed.
    removed_id: Option<ID> = |done, _ctx| Some(global_id(Kind::App, done.id));
});
payload!(BeginLinkPayload, Begun, "beginLink" {
    /// The attempt; its trace tells how far it got.
    link: Option<Result<Link, ApiError>> = |done, ctx| link_of(ctx, done.id).await.transpose();
    /// The platform's consent page, shown here only: open it in the browser the owner looks at.
    consent_url: Option<String> = |done, _ctx| Some(done.consent_url.clone());
    /// From when on the page is of no use.
    expires_at: Option<DateTime<Utc>> = |done, _ctx| DateTime::from_timestamp_micros(done.expires_at_us);
});
payload!(PauseAccountPayload, Named, "pauseAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(ResumeAccountPayload, Named, "resumeAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(UnlinkAccountPayload, Named, "unlinkAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(PlaceAccountPayload, Named, "placeAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(TagAccountPayload, Named, "tagAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(RefreshAccountPayload, Named, "refreshAccount" {
    /// The account.
    account: Option<Result<Account, ApiError>> = |done, ctx| account_of(ctx, done.id).await.transpose();
});
payload!(CreateGroupPayload, Named, "createGroup" {
    /// The group.
    group: Option<Result<Group, ApiError>> = |done, ctx| group_of(ctx, done.id).await.transpose();
});
payload!(ChangeGroupPayload, Named, "changeGroup" {
    /// The group.
    group: Option<Result<Group, ApiError>> = |done, ctx| group_of(ctx, done.id).await.transpose();
});
payload!(RemoveGroupPayload, Named, "removeGroup" {
    /// The id of what was removed.
    removed_id: Option<ID> = |done, _ctx| Some(global_id(Kind::Group, done.id));
});
payload!(GrantGroupPayload, Named, "grantGroup" {
    /// The group.
    group: Option<Result<Group, ApiError>> = |done, ctx| group_of(ctx, done.id).await.transpose();
});
payload!(RevokeGroupPayload, Named, "revokeGroup" {
    /// The group.
    group: Option<Result<Group, ApiError>> = |done, ctx| group_of(ctx, done.id).await.transpose();
});

#[derive(Default)]
pub struct AccountsMutation;

#[Object]
impl AccountsMutation {
    /// Take in the tenant's credentials as a developer on a platform. Needs an idempotency key.
    async fn register_app(
        &self,
        ctx: &Context<'_>,
        input: RegisterAppInput,
    ) -> Option<Result<RegisterAppPayload, ApiError>> {
        let done = command(ctx, actions::REGISTER_APP, |app, actor, work| {
            Box::pin(async move {
                let draft = AppDraft {
                    platform: input.platform,
                    name: input.name,
                    client_key: input.client_key,
                    client_secret: Secret::from(input.client_secret),
                    scopes: input.scopes,
                };
                let id = app.accounts.register_app(work, actor, draft).await?;
                Ok(Named { id: id.uuid() })
            })
        });
        Some(done.await.map(RegisterAppPayload))
    }

    /// Change an app's name, secret or scopes, and use it again if it was switched off.
    async fn change_app(
        &self,
        ctx: &Context<'_>,
        input: ChangeAppInput,
    ) -> Option<Result<ChangeAppPayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_APP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::App, &input.id)?;
                let change = AppChange {
                    name: input.name,
                    client_secret: input.client_secret.map(Secret::from),
                    scopes: input.scopes,
                };
                app.accounts.change_app(work, actor, AppId::from_uuid(id), change).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangeAppPayload))
    }

    /// Throw an app's credentials away. Its accounts must be unlinked first.
    async fn remove_app(
        &self,
        ctx: &Context<'_>,
        input: RemoveAppInput,
    ) -> Option<Result<RemoveAppPayload, ApiError>> {
        let done = command(ctx, actions::REMOVE_APP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::App, &input.id)?;
                app.accounts.remove_app(work, actor, AppId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RemoveAppPayload))
    }

    /// Ask an account's owner for consent: gives the page to show them. Needs an idempotency key.
    async fn begin_link(
        &self,
        ctx: &Context<'_>,
        input: BeginLinkInput,
    ) -> Option<Result<BeginLinkPayload, ApiError>> {
        let done = command(ctx, actions::BEGIN_LINK, |app, actor, work| {
            Box::pin(async move {
                let ask = BeginLink {
                    app: AppId::from_uuid(id_in("appId", Kind::App, &input.app_id)?),
                    group: maybe("groupId", Kind::Group, input.group_id.as_ref())?.map(GroupId::from_uuid),
                    again: maybe("accountId", Kind::Account, input.account_id.as_ref())?
                        .map(AccountId::from_uuid),
                    scopes: input.scopes,
                };
                let begun = app.accounts.begin_link(work, actor, ask).await?;
                Ok(Begun {
                    id: begun.link.uuid(),
                    consent_url: text(&begun.consent_url),
                    expires_at_us: begun.expires_at.timestamp_micros(),
                })
            })
        });
        Some(done.await.map(BeginLinkPayload))
    }

    /// Do nothing with an account for a while. Its tokens are kept fresh.
    async fn pause_account(
        &self,
        ctx: &Context<'_>,
        input: PauseAccountInput,
    ) -> Option<Result<PauseAccountPayload, ApiError>> {
        let done = command(ctx, actions::PAUSE_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                app.accounts.pause_account(work, actor, AccountId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(PauseAccountPayload))
    }

    /// Let work on a paused account go on.
    async fn resume_account(
        &self,
        ctx: &Context<'_>,
        input: ResumeAccountInput,
    ) -> Option<Result<ResumeAccountPayload, ApiError>> {
        let done = command(ctx, actions::RESUME_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                app.accounts.resume_account(work, actor, AccountId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ResumeAccountPayload))
    }

    /// Give an account up and throw its tokens away.
    async fn unlink_account(
        &self,
        ctx: &Context<'_>,
        input: UnlinkAccountInput,
    ) -> Option<Result<UnlinkAccountPayload, ApiError>> {
        let done = command(ctx, actions::UNLINK_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                app.accounts.unlink_account(work, actor, AccountId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(UnlinkAccountPayload))
    }

    /// Look at an account's tokens now: what is due is done at once.
    async fn refresh_account(
        &self,
        ctx: &Context<'_>,
        input: RefreshAccountInput,
    ) -> Option<Result<RefreshAccountPayload, ApiError>> {
        let done = command(ctx, actions::REFRESH_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                app.accounts.refresh_account(work, actor, AccountId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RefreshAccountPayload))
    }

    /// Put an account into a group.
    async fn place_account(
        &self,
        ctx: &Context<'_>,
        input: PlaceAccountInput,
    ) -> Option<Result<PlaceAccountPayload, ApiError>> {
        let done = command(ctx, actions::PLACE_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                let group = maybe("groupId", Kind::Group, input.group_id.as_ref())?.map(GroupId::from_uuid);
                app.accounts.place_account(work, actor, AccountId::from_uuid(id), group).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(PlaceAccountPayload))
    }

    /// Tag an account.
    async fn tag_account(
        &self,
        ctx: &Context<'_>,
        input: TagAccountInput,
    ) -> Option<Result<TagAccountPayload, ApiError>> {
        let done = command(ctx, actions::TAG_ACCOUNT, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Account, &input.id)?;
                app.accounts.tag_account(work, actor, AccountId::from_uuid(id), input.tags).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(TagAccountPayload))
    }

    /// Make a matrix, or a group in one. Needs an idempotency key.
    async fn create_group(
        &self,
        ctx: &Context<'_>,
        input: CreateGroupInput,
    ) -> Option<Result<CreateGroupPayload, ApiError>> {
        let done = command(ctx, actions::CREATE_GROUP, |app, actor, work| {
            Box::pin(async move {
                let parent =
                    maybe("parentId", Kind::Group, input.parent_id.as_ref())?.map(GroupId::from_uuid);
                let id = app.accounts.create_group(work, actor, &input.name, parent).await?;
                Ok(Named { id: id.uuid() })
            })
        });
        Some(done.await.map(CreateGroupPayload))
    }

    /// Give a group another name or place; what is in it comes along.
    async fn change_group(
        &self,
        ctx: &Context<'_>,
        input: ChangeGroupInput,
    ) -> Option<Result<ChangeGroupPayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_GROUP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Group, &input.id)?;
                let parent = match &input.parent_id {
                    MaybeUndefined::Undefined => None,
                    MaybeUndefined::Null => Some(None),
                    MaybeUndefined::Value(parent) => {
                        Some(Some(GroupId::from_uuid(id_in("parentId", Kind::Group, parent)?)))
                    }
                };
                let name = input.name.as_deref();
                app.accounts.change_group(work, actor, GroupId::from_uuid(id), name, parent).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangeGroupPayload))
    }

    /// Take an empty group away.
    async fn remove_group(
        &self,
        ctx: &Context<'_>,
        input: RemoveGroupInput,
    ) -> Option<Result<RemoveGroupPayload, ApiError>> {
        let done = command(ctx, actions::REMOVE_GROUP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Group, &input.id)?;
                app.accounts.remove_group(work, actor, GroupId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RemoveGroupPayload))
    }

    /// Let a member work in a group and all below it.
    async fn grant_group(
        &self,
        ctx: &Context<'_>,
        input: GrantGroupInput,
    ) -> Option<Result<GrantGroupPayload, ApiError>> {
        let done = command(ctx, actions::GRANT_GROUP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Group, &input.id)?;
                let member = MemberId::from_uuid(id_in("memberId", Kind::Member, &input.member_id)?);
                app.accounts.grant_group(work, actor, GroupId::from_uuid(id), member).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(GrantGroupPayload))
    }

    /// Take a group back from a member.
    async fn revoke_group(
        &self,
        ctx: &Context<'_>,
        input: RevokeGroupInput,
    ) -> Option<Result<RevokeGroupPayload, ApiError>> {
        let done = command(ctx, actions::REVOKE_GROUP, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Group, &input.id)?;
                let member = MemberId::from_uuid(id_in("memberId", Kind::Member, &input.member_id)?);
                app.accounts.revoke_group(work, actor, GroupId::from_uuid(id), member).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RevokeGroupPayload))
    }
}
