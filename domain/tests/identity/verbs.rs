//! Every verb: one event of its own name when done, and nothing at all when it may not be.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use domain::{
    identity::{ApiKeyDraft, IdentityError, actions, testkit::SteppedCodes},
    kernel::{
        action::Action,
        actor::{Actor, Permission, Role},
        ids::{ApiKeyId, InvitationId, MemberId, SessionId},
        outbox::Outcome,
        scope::TenantScope,
        secret::Secret,
    },
};

use crate::world::{Home, OWNER, PASSWORD, World, id_of, now, secret, signed_in, system};

const NEW: &str = "quite another password";
const ADA: &str = "ada@example.com";

/// What verbs are tried on: a tenant with one of everything.
struct Stage {
    world: std::sync::Arc<World>,
    home: Home,
    ada: Actor,
    invitation: InvitationId,
    invitation_token: Secret,
    reset_token: Secret,
    refresh_token: Secret,
    key: ApiKeyId,
}

impl Stage {
    fn set() -> Self {
        let (world, home) = World::with_home();
        let ada = world.join(&home, ADA, Role::Operator);
        let invited = world.invite(&home.owner, "open@example.com", Role::Analyst).expect("invites");
        let reset_token = world.request_reset(home.scope, OWNER).expect("is sent");
        let refresh_token = world.sign_in(home.scope, OWNER).refresh_token;
        let key = world.issue_key(&home.owner, &[Permission::ReadAudit], 1).expect("issues").id;
        let (invitation, invitation_token) = (invited.invitation, invited.token);
        Self { world, home, ada, invitation, invitation_token, reset_token, refresh_token, key }
    }

    fn member(&self) -> MemberId {
        id_of(&self.ada)
    }

    fn session(&self) -> SessionId {
        self.ada.session().expect("signed in")
    }

    fn code(&self, actor: &Actor) -> Secret {
        let totp = self.world.rows(self.home.scope).members.get(&id_of(actor)).and_then(|m| m.totp.clone());
        SteppedCodes::code_at(&totp.expect("begun").seed, self.world.at())
    }

    /// Does the command of that name as its actor; `None` for a door, which opens before anybody is known.
    fn command(&self, name: &str, a: &Actor) -> Option<Result<(), IdentityError>> {
        let (w, i) = (&self.world, &self.world.identity);
        let code = || if a.member().is_some() { self.code(a) } else { secret("000000") };
        Some(match name {
            "sign_out" => w.command(a, async |tx| i.sign_out(tx, a).await),
            "sign_out_everywhere" => w.command(a, async |tx| i.sign_out_everywhere(tx, a).await),
            "invite_member" => w.invite(a, "new@example.com", Role::Analyst).map(drop),
            "revoke_invitation" => w.command(a, async |tx| i.revoke_invitation(tx, a, self.invitation).await),
            "change_member_role" => w.change_role(a, self.member(), Role::Analyst),
            "suspend_member" => w.suspend(a, self.member()),
            "restore_member" => w.restore(a, self.member()),
            "start_password_reset" => w.start_reset(a, self.member()).map(drop),
            "change_password" => w.change_password(a, PASSWORD, NEW),
            "revoke_session" => w.revoke_session(a, self.session()),
            "enrol_totp" => w.command(a, async |tx| i.enrol_totp(tx, a).await).map(drop),
            "confirm_totp" => w.command(a, async |tx| i.confirm_totp(tx, a, &code()).await).map(drop),
            "disable_totp" => w.command(a, async |tx| i.disable_totp(tx, a, &code()).await),
            "issue_api_key" => {
                let scopes = vec![Permission::ReadMembers];
                let draft = ApiKeyDraft { name: "machine".to_owned(), scopes, days: 1 };
                w.command(a, async |tx| i.issue_api_key(tx, a, draft).await).map(drop)
            }
            "revoke_api_key" => w.command(a, async |tx| i.revoke_api_key(tx, a, self.key).await),
            _ => return None,
        })
    }

    /// Goes through the door of that name, and gives the tenant that has the event.
    fn door(&self, name: &str) -> Option<TenantScope> {
        let (w, scope) = (&self.world, self.home.scope);
        match name {
            "open_tenant" => {
                let opened = now(w.identity.open_tenant(&w.origin(), World::draft("borealis")));
                return Some(TenantScope::of(opened.expect("opens").tenant));
            }
            "close_tenant" => drop(now(w.identity.close_tenant(&w.origin(), scope, 30)).expect("closes")),
            "reopen_tenant" => now(w.identity.reopen_tenant(&w.origin(), scope)).expect("is taken back"),
            "sign_in" => assert!(signed_in(w.try_sign_in(Some(scope), OWNER, PASSWORD, None)).is_some()),
            "refresh_session" => assert!(w.refresh(&self.refresh_token).is_some()),
            "request_password_reset" => assert!(w.request_reset(scope, OWNER).is_some()),
            "reset_password" => w.reset(&self.reset_token, NEW).expect("resets"),
            "accept_invitation" => drop(w.accept(&self.invitation_token).expect("joins")),
            _ => return None,
        }
        Some(scope)
    }

    /// What a verb wants to have been done before.
    fn prepare(&self, name: &str, actor: &Actor) {
        let begun = ["confirm_totp", "disable_totp"].contains(&name);
        if begun && actor.member().is_some() {
            self.command("enrol_totp", actor).expect("a command").expect("begins");
        }
        if name == "reopen_tenant" {
            self.door("close_tenant");
        }
        if name == "disable_totp" && actor.member().is_some() {
            self.command("confirm_totp", actor).expect("a command").expect("confirms");
            self.world.wait(TimeDelta::seconds(60));
        }
    }
}

#[test]
fn whatever_is_done_leaves_one_event_of_its_name() {
    for action in actions::ALL {
        let stage = Stage::set();
        stage.prepare(action.name, &stage.home.owner);
        let before = stage.world.rows(stage.home.scope).records.len();
        let (scope, before) = if let Some(done) = stage.command(action.name, &stage.home.owner) {
            done.expect(action.name);
            (stage.home.scope, before)
        } else {
            let scope = stage.door(action.name).expect("every verb is tried");
            (scope, if scope == stage.home.scope { before } else { 0 })
        };
        let rows = stage.world.rows(scope);
        let left: Vec<_> =
            rows.records[before..].iter().map(|r| (r.record.action, r.record.outcome)).collect();
        assert_eq!(left, [(*action, Outcome::Success)]);
        let record = rows.last_record().expect("one");
        assert!(record.target.as_ref().is_some_and(|t| t.id.is_some()), "{} names its target", action.name);
    }
}

/// Everybody without the permission: members of every role, and a machine with all other scopes.
fn without(stage: &Stage, permission: Permission) -> Vec<Actor> {
    let roles = Role::ALL.into_iter().filter(|role| !role.permissions().contains(&permission));
    let mut actors: Vec<_> = roles
        .map(|role| stage.world.join(&stage.home, &format!("{}2@example.com", role.as_str()), role))
        .collect();
    let others: Vec<_> = Permission::ALL.into_iter().filter(|other| *other != permission).collect();
    let key = stage.world.issue_key(&stage.home.owner, &others, 1).expect("issues");
    actors.push(stage.world.authenticate(&key.key).expect("works").actor);
    actors
}

#[test]
fn what_one_may_not_do_is_denied_and_leaves_nothing() {
    let gated: Vec<(&Action, Permission)> =
        actions::ALL.iter().filter_map(|action| Some((action, action.permission?))).collect();
    assert_eq!(gated.len(), 8);
    for (action, permission) in gated {
        let stage = Stage::set();
        let actors = without(&stage, permission);
        assert!(actors.len() >= 4, "{}", action.name);
        for actor in actors {
            let before = stage.world.rows(stage.home.scope);
            let refused = stage.command(action.name, &actor).expect("a command");
            let denied = matches!(&refused, Err(IdentityError::Denied(denied)) if denied.0 == permission);
            assert!(denied, "{} by {actor:?}: {refused:?}", action.name);
            assert_eq!(stage.world.rows(stage.home.scope), before, "{} by {actor:?}", action.name);
        }
    }
}

#[test]
fn what_members_do_to_themselves_is_not_for_machines() {
    let personal = [
        "sign_out",
        "sign_out_everywhere",
        "change_password",
        "revoke_session",
        "enrol_totp",
        "confirm_totp",
        "disable_totp",
        "issue_api_key",
    ];
    for name in personal {
        let stage = Stage::set();
        let key = stage.world.issue_key(&stage.home.owner, &Permission::ALL, 1).expect("issues");
        let machine = stage.world.authenticate(&key.key).expect("works").actor;
        let before = stage.world.rows(stage.home.scope);
        for actor in [machine, system(stage.home.scope)] {
            let refused = stage.command(name, &actor).expect("a command");
            assert!(matches!(refused, Err(IdentityError::NeedsMember)), "{name} by {actor:?}: {refused:?}");
            assert_eq!(stage.world.rows(stage.home.scope), before, "{name} by {actor:?}");
        }
    }
    // Whoever is not on the list asks for a permission or is a door.
    let stage = Stage::set();
    let named: BTreeSet<_> = personal.into_iter().collect();
    for action in actions::ALL.iter().filter(|a| a.permission.is_none() && !named.contains(a.name)) {
        assert!(stage.command(action.name, &stage.home.owner).is_none(), "{}", action.name);
    }
}

#[test]
fn a_command_in_one_tenant_is_not_heard_in_another() {
    for action in actions::ALL.iter().filter(|action| action.permission.is_some()) {
        let stage = Stage::set();
        let borealis = stage.world.open("borealis");
        let before = stage.world.rows(stage.home.scope);
        let done = stage.command(action.name, &borealis.owner).expect("a command");
        assert_eq!(stage.world.rows(stage.home.scope), before, "{}", action.name);
        let of_its_own = ["invite_member", "issue_api_key"].contains(&action.name);
        assert_eq!(done.is_ok(), of_its_own, "{}: what is named is not there", action.name);
    }
}
