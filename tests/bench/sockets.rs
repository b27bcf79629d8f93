//! Thousands who follow one subscription: what each costs in memory while nothing happens, and how soon all are told.
//!
//! The product's is `postEvents`, through its own door, with one tenant's token; an event goes through Redis, as from another
//! replica. The product's transport alone (api/transport/examples/still.rs) and Mercurius have the same subscription over an
//! emitter in their own memory, and are told by a request: nobody is asked who they are, and nobody is looked up again while
//! they listen. All are told by this process, which has the sockets as well, so that there is one clock.

use std::{sync::Arc, time::Duration};

use api::app::App;
use domain::{
    kernel::{
        clock::{Clock as _, Timestamp},
        feed::News,
        ids::{IdSource as _, PostId},
        scope::TenantScope,
    },
    publishing::events::PublishingFact,
};
use harness::{client::Client, stores::HarnessError};
use infra::system::System;
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    goals::{Goal, slowest},
    installation::Installation,
    listeners::Listeners,
    load::Service,
    machine::{Watched, resident_kib},
    programs::{Kind, Program},
    rounds::{ROUNDS, Rounds, Sample, Series, order},
    seed::{Owner, TENANTS, sign_in},
    table::{Table, thousands},
};

/// Sockets.
const COUNTS: [usize; 2] = [2_000, 5_000];
/// Events of a measurement, and how far apart.
const EVENTS: u32 = 5;
const APART: Duration = Duration::from_secs(1);
/// How often all are told before anything is measured: whoever was read of may not listen yet.
const FIRST_TRIES: u32 = 5;
/// How long nothing happens before memory is looked at.
const SETTLED: Duration = Duration::from_secs(1);

/// Who is measured, and with how many sockets.
const WAYS: [(Who, usize); 6] = [
    (Who::Product, COUNTS[0]),
    (Who::Transport, COUNTS[0]),
    (Who::Peer, COUNTS[0]),
    (Who::Product, COUNTS[1]),
    (Who::Transport, COUNTS[1]),
    (Who::Peer, COUNTS[1]),
];

#[derive(Clone, Copy, Debug)]
enum Who {
    Product,
    Transport,
    Peer,
}

/// What was found: for each message its processor time, for each socket its memory in kibibytes.
struct Found {
    sample: Sample,
    kib: f64,
}

/// Measures both, and tells of them.
///
/// # Errors
/// The peer is not installed, a socket was refused, or one was not told.
pub(crate) async fn run(
    installation: &Installation,
    app: &Arc<App>,
) -> Result<(Table, Vec<Goal>), HarnessError> {
    let owner = sign_in(app, TENANTS.start).await?;
    let mut series: [Series; WAYS.len()] = std::array::from_fn(|_| Series(Vec::new()));
    let mut kib: [Vec<f64>; WAYS.len()] = Default::default();
    for round in 0..ROUNDS {
        for at in order(round, WAYS.len()) {
            let (who, count) = WAYS[at];
            eprintln!("measuring: {count} sockets, {who:?}");
            let found = match who {
                Who::Product => product(installation, app, &owner, count).await?,
                Who::Transport => alone(installation, &Kind::Still("graphql"), 2, count).await?,
                Who::Peer => alone(installation, &Kind::Script("listeners.js"), 1, count).await?,
            };
            series[at].0.push(found.sample);
            kib[at].push(found.kib);
        }
    }
    Ok(told(&series, &kib.map(Rounds)))
}

/// The product in processes of its own, as it is released.
async fn product(
    installation: &Installation,
    app: &Arc<App>,
    owner: &Owner,
    count: usize,
) -> Result<Found, HarnessError> {
    let running = Box::pin(installation.serve()).await?;
    let scope = TenantScope::of(owner.tenant);
    let tell = async |at: Timestamp| {
        let fact = PublishingFact::PostMoved(PostId::from_uuid(System.next_uuid()));
        Ok(app.publishing_feed.publish(&scope, &[News { fact, at }]).await?)
    };
    let watched = installation.target(Some(&running))?.watched;
    let found = measure(&running.service(), &owner.token, count, watched, tell).await;
    let log = running.stop().await?;
    found.map_err(|error| format!("{error}\n{log}").into())
}

/// A program that is told by a request.
async fn alone(
    installation: &Installation,
    kind: &Kind<'_>,
    workers: u32,
    count: usize,
) -> Result<Found, HarnessError> {
    let program = Program::start(kind, workers, &[], &installation.dir).await?;
    let client: &Client = &program.client;
    let tell = async |at: Timestamp| {
        let id = System.next_uuid().to_string();
        let event =
            json!({ "seq": seq(at).to_string(), "at": at.to_rfc3339(), "postId": id, "planId": null });
        let headers = [("content-type", "application/json")];
        let answer = client.send(Method::POST, "/publish", &headers, Some(event.to_string())).await?;
        if answer.status == 200 { Ok(()) } else { Err(format!("nobody was told: {}", answer.status).into()) }
    };
    let watched = installation.target(None)?.watched;
    let found = measure(&program.service(), "", count, watched, tell).await?;
    program.stop().await?;
    Ok(found)
}

/// The number that an event is known by.
fn seq(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

async fn measure(
    service: &Service,
    token: &str,
    count: usize,
    watched: Watched,
    tell: impl AsyncFn(Timestamp) -> Result<(), HarnessError>,
) -> Result<Found, HarnessError> {
    let pid = service.pid.ok_or("the service has ended")?;
    let watched = Watched { server: Some(pid), ..watched };
    let alone_kib = resident_kib(pid)?;
    let mut listeners = Listeners::open(&service.url, token, count).await?;
    let mut tries = 0;
    loop {
        let (at, since) = (System.now(), Instant::now());
        tell(at).await?;
        match listeners.delays_ms(seq(at), since).await {
            Ok(_) => break,
            Err(error) if tries == FIRST_TRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
    tokio::time::sleep(SETTLED).await;
    let all_kib = resident_kib(pid)?;
    let mut delays = Vec::new();
    let (before, began) = (watched.usage()?, Instant::now());
    for number in 0..EVENTS {
        tokio::time::sleep_until(began + APART * number).await;
        let (at, since) = (System.now(), Instant::now());
        let (told, found) = tokio::join!(tell(at), listeners.delays_ms(seq(at), since));
        told?;
        delays.extend(found?);
    }
    let spent = watched.usage()?.since(&before);
    delays.sort_by(f64::total_cmp);
    let messages = u32::try_from(delays.len())?;
    let share = |hundredths: usize| delays.get(delays.len() * hundredths / 100).copied();
    let sample = Sample {
        p50_ms: share(50),
        p99_ms: share(99),
        ..Sample::of_items(messages, began.elapsed().as_secs_f64(), &spent)
    };
    Ok(Found { sample, kib: (all_kib - alone_kib) / f64::from(u32::try_from(count)?) })
}

fn told(series: &[Series; WAYS.len()], kib: &[Rounds; WAYS.len()]) -> (Table, Vec<Goal>) {
    let mut table = Table::new(
        "Sockets: one event told to all",
        &[
            "sockets",
            "KiB each, idle",
            "p50 / p99 ms",
            "server us a message",
            "Postgres us a message",
            "others' cores",
            "reached",
        ],
    );
    let cpu = |sample: &Sample| sample.server_us;
    for (at, (who, count)) in WAYS.into_iter().enumerate() {
        // Its peer comes last of the three.
        let peer = at / 3 * 3 + 2;
        let reached = || {
            let (memory, late) = (beside(&kib[at], &kib[peer]), series[at].beside(&series[peer], slowest));
            let (memory, late, used) =
                (memory.told("x"), late.told("x"), series[at].beside(&series[peer], cpu).told("x"));
            format!("{memory} the memory, {late} the p99, {used} the server's time of Mercurius")
        };
        let (name, reached) = match who {
            Who::Product => ("the product", reached()),
            Who::Transport => ("its transport alone", reached()),
            Who::Peer => ("Mercurius", "peer".to_owned()),
        };
        let ms = |of: fn(&Sample) -> Option<f64>| series[at].median_if_told(of).unwrap_or(f64::NAN);
        let row = vec![
            format!("{}: {name}", thousands(f64::from(u32::try_from(count).unwrap_or(u32::MAX)))),
            kib[at].told(""),
            format!("{:.0} / {:.0}", ms(|sample| sample.p50_ms), ms(|sample| sample.p99_ms)),
            format!("{:.1}", series[at].median(cpu)),
            format!("{:.1}", series[at].median(|sample| sample.postgres_us)),
            format!("{:.1}", series[at].foreign_cores()),
            reached,
        ];
        table.row(row);
    }
    let [_, _, _, most, alone, peer] = series;
    let goals = vec![
        Goal::at_most("memory of an idle subscriber, 5,000 sockets", "KiB", [40.0, 16.0], kib[3].clone()),
        Goal::at_most(
            "processor time of a message beside Mercurius, 5,000 sockets",
            "x",
            [0.5, 0.2],
            most.beside(peer, cpu),
        ),
        Goal::at_most("the same, the transport alone", "x", [0.5, 0.2], alone.beside(peer, cpu)),
    ];
    (table, goals)
}

fn beside(ours: &Rounds, theirs: &Rounds) -> Rounds {
    Rounds(ours.0.iter().zip(&theirs.0).map(|(ours, theirs)| ours / theirs).collect())
}
