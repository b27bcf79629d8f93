//! Random commands by random people, one after the other, and what holds after each.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use domain::{
    identity::{IdentityError, TokenPair, model::MemberStatus, testkit::Rows},
    kernel::{
        actor::{Actor, Permission, Role},
        ids::{MemberId, SessionId},
        outbox::Outcome,
        secret::Secret,
    },
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::world::{Home, PASSWORD, World, signed_in};

/// What somebody signed in does.
#[derive(Clone, Copy, Debug)]
enum Command {
    Join(Role),
    Invite(Role),
    ChangeRole(Index, Role),
    Suspend(Index),
    Restore(Index),
    RevokeSession(Index),
    SignOut,
    SignOutEverywhere,
    ChangePassword,
    StartReset(Index),
    IssueKey,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Do(Index, Command),
    Accept(Index),
    Reset(Index),
    SignIn(Index),
    /// With the newest token of a session, or with its first again.
    Refresh(Index, bool),
    /// This many seconds.
    Wait(i64),
}

fn commands() -> impl Strategy<Value = Command> {
    let role = || select(Role::ALL.to_vec());
    let any = any::<Index>;
    prop_oneof![
        2 => role().prop_map(Command::Join),
        1 => role().prop_map(Command::Invite),
        4 => (any(), role()).prop_map(|(who, role)| Command::ChangeRole(who, role)),
        4 => any().prop_map(Command::Suspend),
        2 => any().prop_map(Command::Restore),
        1 => any().prop_map(Command::RevokeSession),
        1 => Just(Command::SignOut),
        1 => Just(Command::SignOutEverywhere),
        1 => Just(Command::ChangePassword),
        1 => any().prop_map(Command::StartReset),
        1 => Just(Command::IssueKey),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    const DAY_S: i64 = 24 * 60 * 60;
    let any = any::<Index>;
    prop_oneof![
        12 => (any(), commands()).prop_map(|(who, command)| Step::Do(who, command)),
        1 => any().prop_map(Step::Accept),
        1 => any().prop_map(Step::Reset),
        4 => any().prop_map(Step::SignIn),
        4 => (any(), prop::bool::weighted(0.2)).prop_map(|(which, first)| Step::Refresh(which, first)),
        1 => select(vec![1, 14 * 60, 16 * 60, 8 * DAY_S, 15 * DAY_S]).prop_map(Step::Wait),
    ]
}

/// A tenant, and what its people hold in their hands.
struct Journey {
    world: Arc<World>,
    home: Home,
    /// Each session's tokens, oldest first; the last is the newest.
    families: BTreeMap<SessionId, Vec<TokenPair>>,
    /// Sessions that one of their own tokens was used twice in.
    betrayed: Vec<SessionId>,
    invitations: Vec<Secret>,
    resets: Vec<Secret>,
    people: usize,
    done: usize,
}

/// Who is there from the beginning, beside the first owner.
const CAST: [Role; 5] = [Role::Admin, Role::Admin, Role::Operator, Role::Analyst, Role::Auditor];

impl Journey {
    fn begin() -> Self {
        let (world, home) = World::with_home();
        for (n, role) in CAST.into_iter().enumerate() {
            world.join(&home, &format!("cast{n}@example.com"), role);
        }
        let done = world.rows(home.scope).successes();
        let mut journey = Self {
            world,
            home,
            families: BTreeMap::new(),
            betrayed: Vec::new(),
            invitations: Vec::new(),
            resets: Vec::new(),
            people: 0,
            done,
        };
        for id in journey.rows().members.into_keys() {
            journey.sign_in(id);
        }
        journey
    }

    fn rows(&self) -> Rows {
        self.world.rows(self.home.scope)
    }

    fn member(&self, which: Index) -> MemberId {
        *which.get(&self.rows().members.into_keys().collect::<Vec<_>>())
    }

    fn family(&self, which: Index) -> Option<SessionId> {
        let all: Vec<_> = self.families.keys().copied().collect();
        (!all.is_empty()).then(|| *which.get(&all))
    }

    /// One of those who are let in with what they hold, if there is anybody.
    fn actor(&self, which: Index) -> Option<Actor> {
        let newest = self.families.values().filter_map(|family| family.last());
        let known = newest.filter_map(|pair| self.world.authenticate(&pair.access_token));
        let actors: Vec<_> = known.map(|known| known.actor).collect();
        (!actors.is_empty()).then(|| which.get(&actors).clone())
    }

    fn sign_in(&mut self, id: MemberId) {
        let email = self.rows().members[&id].email.expose().to_owned();
        let outcome = self.world.try_sign_in(Some(self.home.scope), &email, PASSWORD, None);
        if let Some(pair) = signed_in(outcome) {
            self.done += 1;
            self.families.insert(pair.session, vec![pair]);
        }
    }

    fn refresh(&mut self, session: SessionId, again: bool) {
        let Some(family) = self.families.get_mut(&session) else { return };
        let reused = again && family.len() > 1;
        let token = if reused { family.first() } else { family.last() };
        let Some(token) = token.map(|pair| pair.refresh_token.clone()) else { return };
        let next = self.world.refresh(&token);
        if reused {
            assert!(next.is_none(), "a token works once");
            self.betrayed.push(session);
        }
        if let Some(pair) = next {
            self.done += 1;
            family.push(pair);
        }
    }

    fn command(&mut self, actor: &Actor, command: Command) -> Result<(), IdentityError> {
        let world = Arc::clone(&self.world);
        let identity = &world.identity;
        match command {
            Command::Join(role) | Command::Invite(role) => {
                self.people += 1;
                let email = format!("m{}@example.com", self.people);
                self.invitations.push(world.invite(actor, &email, role)?.token);
                Ok(())
            }
            Command::ChangeRole(who, role) => world.change_role(actor, self.member(who), role),
            Command::Suspend(who) => world.suspend(actor, self.member(who)),
            Command::Restore(who) => world.restore(actor, self.member(who)),
            Command::RevokeSession(which) => {
                let session = self.family(which).ok_or(IdentityError::SessionNotFound)?;
                world.revoke_session(actor, session)
            }
            Command::SignOut => world.command(actor, async |tx| identity.sign_out(tx, actor).await),
            Command::SignOutEverywhere => {
                world.command(actor, async |tx| identity.sign_out_everywhere(tx, actor).await)
            }
            Command::ChangePassword => world.change_password(actor, PASSWORD, PASSWORD),
            Command::StartReset(who) => {
                self.resets.push(world.start_reset(actor, self.member(who))?);
                Ok(())
            }
            Command::IssueKey => world.issue_key(actor, &[Permission::ReadMembers], 1).map(drop),
        }
    }

    /// Does it as somebody who is let in, if there is one.
    fn do_as(&mut self, who: Index, command: Command) {
        let Some(actor) = self.actor(who) else { return };
        let before = self.rows();
        if self.command(&actor, command).is_err() {
            assert_eq!(self.rows(), before, "refused, and left something");
            return;
        }
        self.done += 1;
        let joined = self.invitations.last().filter(|_| matches!(command, Command::Join(_)));
        self.done += joined.map_or(0, |token| usize::from(self.world.accept(token).is_ok()));
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Do(who, command) => self.do_as(who, command),
            Step::Wait(seconds) => self.world.wait(TimeDelta::seconds(seconds)),
            Step::SignIn(member) => self.sign_in(self.member(member)),
            Step::Refresh(which, again) => {
                if let Some(session) = self.family(which) {
                    self.refresh(session, again);
                }
            }
            Step::Accept(which) if !self.invitations.is_empty() => {
                self.done += usize::from(self.world.accept(which.get(&self.invitations)).is_ok());
            }
            Step::Reset(which) if !self.resets.is_empty() => {
                self.done += usize::from(self.world.reset(which.get(&self.resets), PASSWORD).is_ok());
            }
            Step::Accept(_) | Step::Reset(_) => {}
        }
    }

    /// What holds whatever was done.
    fn check(&self) {
        let rows = self.rows();
        let active = |id: &MemberId| rows.members[id].status == MemberStatus::Active;
        let owners = rows.members.values().filter(|m| m.role == Role::Owner && active(&m.id));
        assert!(owners.count() >= 1, "no active owner is left");
        assert_eq!(rows.successes(), self.done, "one event for each thing done");
        let refused_quietly = rows.records.iter().filter(|r| r.record.outcome != Outcome::Success);
        assert!(refused_quietly.into_iter().all(|r| r.record.reason.is_some()), "a refusal says why");
        for (session, family) in &self.families {
            let kept = &rows.sessions[session];
            let known: Vec<_> =
                family.iter().filter_map(|pair| self.world.authenticate(&pair.access_token)).collect();
            let works =
                active(&kept.member) && kept.is_live(self.world.at()) && !self.betrayed.contains(session);
            assert!(works || known.is_empty(), "{session} is over and lets somebody in");
            let roles = rows.members[&kept.member].role;
            assert!(known.iter().all(|k| k.actor.member() == Some(kept.member)));
            assert!(known.iter().all(|k| {
                Permission::ALL.into_iter().all(|p| k.actor.may(p) == roles.permissions().contains(&p))
            }));
            // Of each family one token at most can still be exchanged.
            let unused =
                rows.refresh_tokens.values().filter(|t| t.session == *session && t.used_at.is_none());
            assert_eq!(unused.count(), 1, "{session}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn whatever_people_do_what_must_hold_holds(steps in vec(steps(), 1..60)) {
        let mut journey = Journey::begin();
        for step in steps {
            journey.go(step);
            journey.check();
        }
    }
}
