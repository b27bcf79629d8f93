//! Who may read the log, and what it says of itself.

use chrono::TimeDelta;
use domain::{
    compliance::{
        ComplianceError,
        ports::{EventFilter, EventKey, LogId},
    },
    identity::actions,
    kernel::{
        actor::{Actor, Permission, Principal, Role},
        clock::Clock as _,
        ids::{ApiKeyId, ComplianceId, EventId, MemberId, SessionId, TenantId},
        outbox::{Outbox as _, Outcome, Party, Record, Stream},
        page::{Direction, PageRequest},
    },
};

use crate::site::{Site, actor, drain, now};

fn denied<T>(read: &Result<T, ComplianceError>) -> bool {
    matches!(read, Err(ComplianceError::Denied(denied)) if denied.0 == Permission::ReadAudit)
}

fn member(site: &Site, tenant: TenantId, role: Role) -> Actor {
    let (member, session) = (MemberId::new(&*site.ids), SessionId::new(&*site.ids));
    Actor { tenant, principal: Principal::Member { member, session, role } }
}

#[test]
fn nothing_is_read_without_the_permission() {
    let site = Site::new();
    let (tenant, _) = site.two();
    site.happen(tenant, 3);
    drain(&mut site.sequencer(), 10);
    let event = site.log(tenant).leaves[0].0;
    let others = Permission::ALL.into_iter().filter(|p| *p != Permission::ReadAudit).collect();
    let machine = Principal::ApiKey { key: ApiKeyId::new(&*site.ids), scopes: others };
    let mut actors = vec![(Actor { tenant, principal: machine }, false)];
    for role in Role::ALL {
        actors.push((member(&site, tenant, role), role.permissions().contains(&Permission::ReadAudit)));
    }
    assert_eq!(actors.iter().filter(|(_, may)| *may).count(), 3);
    for (a, may) in &actors {
        let (c, mut tx) = (&site.compliance, site.audit(tenant));
        let trail = ComplianceId::new(&*site.ids);
        let (all, newest) = (EventFilter::default(), PageRequest::newest(10));
        let refused = [
            denied(&now(c.audit_trail(&mut tx, a, trail))),
            denied(&now(c.audit_events(&mut tx, a, &all, newest))),
            denied(&now(c.audit_event(&mut tx, a, event))),
            denied(&now(c.audit_checkpoint(&mut tx, a, Stream::Iam, None))),
            denied(&now(c.audit_verifier_keys(a, Stream::Iam))),
            denied(&now(c.audit_inclusion_proof(&mut tx, a, event, None))),
            denied(&now(c.audit_consistency_proof(&mut tx, a, Stream::Iam, 3, None))),
        ];
        assert_eq!(refused, [!may; 7], "{a:?}");
    }
}

#[test]
fn a_tenant_reads_its_own_log_only() {
    let site = Site::new();
    let (ours, theirs) = site.two();
    site.happen(ours, 2);
    site.happen(theirs, 2);
    drain(&mut site.sequencer(), 10);
    let event = site.log(theirs).leaves[0].0;
    assert!(site.inclusion(theirs, event).expect("may").is_some());
    assert_eq!(site.inclusion(ours, event).expect("may"), None);
    let (mut tx, a) = (site.audit(ours), actor(ours));
    assert_eq!(now(site.compliance.audit_event(&mut tx, &a, event)).expect("may"), None);
    let all =
        now(site.compliance.audit_events(&mut tx, &a, &EventFilter::default(), PageRequest::newest(10)));
    let all = all.expect("may").items;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|logged| logged.event.tenant_id == ours));
}

#[test]
fn what_one_answer_left_is_found_together() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let answer = ComplianceId::new(&*site.ids);
    let mut tx = site.audit_of(tenant, answer);
    let party = Party::new("member", MemberId::new(&*site.ids).uuid());
    now(tx.record(Record::success(actions::CHANGE_PASSWORD, party.clone()))).expect("is recorded");
    now(tx.record(Record::refused(actions::ISSUE_API_KEY, None, "denied"))).expect("is recorded");
    site.happen(tenant, 3);
    let a = actor(tenant);
    let trail = || now(site.compliance.audit_trail(&mut site.audit(tenant), &a, answer)).expect("may");
    assert_eq!(trail(), [], "not before it has an index");
    assert_eq!(drain(&mut site.sequencer(), 10), 5);
    let told: Vec<_> = trail()
        .into_iter()
        .map(|logged| {
            (logged.event.stream, logged.event.type_name, logged.event.outcome, logged.event.reason)
        })
        .collect();
    let change = (Stream::Iam, "change_password".to_owned(), Outcome::Success, None);
    let refusal = (Stream::Admin, "issue_api_key".to_owned(), Outcome::Refused, Some("denied".to_owned()));
    assert_eq!(told, [change, refusal]);
}

#[test]
fn events_are_filtered_and_paged() {
    let site = Site::new();
    let (tenant, _) = site.two();
    for _ in 0..5 {
        site.happen(tenant, 1);
        site.clock.advance(TimeDelta::seconds(1));
    }
    let mut tx = site.audit(tenant);
    let target = Party::new("api_key", ApiKeyId::new(&*site.ids).uuid());
    now(tx.record(Record::success(actions::REVOKE_API_KEY, target.clone()))).expect("is recorded");
    drain(&mut site.sequencer(), 10);
    let a = actor(tenant);
    let mut read = |filter: EventFilter, page| now(site.compliance.audit_events(&mut tx, &a, &filter, page));
    let newest = PageRequest::newest(100);
    let end = site.clock.now();
    let since = |s| Some(end - TimeDelta::seconds(s));
    for (filter, count) in [
        (EventFilter::default(), 6),
        (EventFilter { stream: Some(Stream::Admin), ..EventFilter::default() }, 1),
        (EventFilter { stream: Some(Stream::Access), ..EventFilter::default() }, 0),
        (EventFilter { types: vec!["sign_out".to_owned()], ..EventFilter::default() }, 5),
        (EventFilter { outcome: Some(Outcome::Refused), ..EventFilter::default() }, 0),
        (EventFilter { target: target.id, ..EventFilter::default() }, 1),
        (EventFilter { actor: target.id, ..EventFilter::default() }, 0),
        (EventFilter { since: since(3), ..EventFilter::default() }, 4),
        (EventFilter { until: since(3), ..EventFilter::default() }, 2),
        (EventFilter { since: since(3), until: since(2), ..EventFilter::default() }, 1),
    ] {
        assert_eq!(read(filter.clone(), newest).expect("may").items.len(), count, "{filter:?}");
    }
    for (from, until) in [(3, 3), (2, 3)] {
        let filter = EventFilter { since: since(from), until: since(until), ..EventFilter::default() };
        let refused = read(filter, newest);
        assert!(matches!(refused, Err(ComplianceError::Invalid { field: "filter.until", .. })));
    }
    let (mut from, mut ids) = (None, Vec::new());
    loop {
        let request = PageRequest { limit: 4, from, direction: Direction::Forward };
        let page = read(EventFilter::default(), request).expect("may");
        ids.extend(page.items.iter().map(|logged| logged.event.event_id));
        from = page.items.last().map(|l| EventKey { at: l.event.occurred_at, id: l.event.event_id });
        if !page.more {
            break;
        }
    }
    assert_eq!(ids.len(), 6);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "each once, oldest first");
}

#[test]
fn proofs_are_of_heads_that_there_are() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    let a = actor(tenant);
    assert_eq!(site.consistency(tenant, 1).expect("may"), None, "no head yet");
    for times in [2, 3] {
        site.happen(tenant, times);
        assert_eq!(drain(&mut sequencer, 10), times);
    }
    let log = site.log(tenant);
    let mut tx = site.audit(tenant);
    let c = &site.compliance;
    let mut head = |size| now(c.audit_checkpoint(&mut tx, &a, Stream::Iam, size)).expect("may");
    assert_eq!(head(None).as_ref(), log.heads.last());
    assert_eq!(head(Some(2)).as_ref(), log.heads.first());
    assert_eq!(head(Some(3)), None, "no head was signed there");
    let mut covered =
        |event: EventId, size| now(c.audit_inclusion_proof(&mut tx, &a, event, size)).expect("may").is_some();
    assert!(covered(log.leaves[1].0, Some(2)));
    assert!(!covered(log.leaves[2].0, Some(2)), "it came later");
    assert!(covered(log.leaves[2].0, Some(5)));
    assert!(!covered(EventId::from_uuid(uuid::Uuid::nil()), None));
    let mut from = |old, size| now(c.audit_consistency_proof(&mut tx, &a, Stream::Iam, old, size));
    for (old, size, invalid) in
        [(0, None, true), (5, Some(2), true), (2, Some(5), false), (5, Some(5), false)]
    {
        let proof = from(old, size);
        assert_eq!(matches!(proof, Err(ComplianceError::Invalid { field: "oldSize", .. })), invalid, "{old}");
        assert_eq!(proof.is_ok_and(|proof| proof.is_some()), !invalid, "{old}");
    }
    assert!(from(3, None).expect("may").is_none());
}

#[test]
fn a_log_that_was_touched_says_so() {
    let site = Site::new();
    let (tenant, _) = site.two();
    let mut sequencer = site.sequencer();
    for _ in 0..2 {
        site.happen(tenant, 4);
        drain(&mut sequencer, 10);
    }
    let event = site.log(tenant).leaves[5].0;
    assert!(site.inclusion(tenant, event).expect("whole").is_some());
    assert!(site.consistency(tenant, 4).expect("whole").is_some());
    let log = LogId { tenant, stream: Stream::Iam };
    let broken = |size| {
        let told =
            |read| matches!(read, Err(ComplianceError::Broken { stream: Stream::Iam, size: s }) if s == size);
        told(site.inclusion(tenant, event)) && told(site.consistency(tenant, 4))
    };
    let whole = site.logs.kept();
    // Another root under the head.
    site.logs.change(|logs| {
        let heads = &mut logs.logs.get_mut(&log).expect("begun").heads;
        heads.last_mut().expect("signed").root.0[0] ^= 1;
    });
    assert!(broken(8));
    // Tiles that are gone.
    site.logs.change(|logs| {
        *logs = whole.clone();
        logs.logs.get_mut(&log).expect("begun").tiles.clear();
    });
    assert!(broken(8));
    site.logs.change(|logs| *logs = whole);
    assert!(!broken(8));
}
