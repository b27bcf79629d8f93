//! `matricula serve` and `matricula work`: the doors, the workers, and an orderly end.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{App as Actix, HttpServer, dev::ServerHandle};
use api::{
    Answers, ProductHost, graphql, http,
    metrics::{HeldLabels, OverdueLabels},
    worker,
};
use domain::{
    kernel::fault::with_causes,
    publishing::{model::Overdue, ports::HeldBy},
};
use tokio::{sync::watch, task::JoinHandle};
use transport::{AnswerIds, DrainHandle, Engine};

use crate::{
    bookkeeping::Bookkeeping,
    config::Config,
    file_store::keeps_files,
    wiring::{FIGURES_EVERY, Parts, StartupError, build},
};

/// Work that has no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Give audit events their indexes and sign the logs' heads.
    Sequence,
    /// Keep the tokens of linked accounts fresh.
    Tokens,
    /// Check files that have arrived, and throw away what nobody needs.
    Uploads,
    /// Post what is due, and follow what became of it.
    Posts,
    /// Derive the audit logs anew and tell what differs.
    Verify,
    /// Make the platform's log grow by heads of tenants' logs.
    Notarise,
    /// Make reports for auditors.
    Reports,
    /// Tell the log of rows that were changed by who did not tell it.
    Changes,
    /// Write erasures down outside of the database, and look after keys of persons.
    Erasures,
    /// Make records of processing.
    Records,
    /// Throw away what of logs need not be kept any longer.
    Retention,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Sequence,
        Self::Tokens,
        Self::Uploads,
        Self::Posts,
        Self::Verify,
        Self::Notarise,
        Self::Reports,
        Self::Changes,
        Self::Erasures,
        Self::Records,
        Self::Retention,
    ];
}

/// What this process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duties {
    /// Answer callers.
    pub serve: bool,
    /// What is worked on beside.
    pub queues: Vec<Queue>,
}

impl Duties {
    /// Everything.
    pub fn all() -> Self {
        Self { serve: true, queues: Queue::ALL.to_vec() }
    }

    /// Everything but one queue.
    pub fn all_but(queue: Queue) -> Self {
        Self { serve: true, queues: Queue::ALL.into_iter().filter(|other| *other != queue).collect() }
    }

    /// Nothing: for verbs that are done and end.
    pub const fn none() -> Self {
        Self { serve: false, queues: Vec::new() }
    }

    /// For verbs that write rows of tenants: what is told of persons needs keys that are kept where files are.
    pub fn writing() -> Self {
        Self { serve: false, queues: vec![Queue::Changes] }
    }

    pub(crate) fn has(&self, queue: Queue) -> bool {
        self.queues.contains(&queue)
    }
}

/// Longest a request that brings bytes may take: a gigabyte at two and a half megabits a second.
const UPLOAD_DEADLINE: Duration = Duration::from_hours(1);

/// Longest the last calls to platforms are waited for when stopping: what they answer can't be asked for again.
const LAST_CALLS: Duration = Duration::from_secs(70);

/// How often it is asked at the start who was erased, where files are away: once a second.
const LEDGER_TRIES: u32 = 10;

/// How long the last of the books about calls may take.
const LAST_BOOKS: Duration = Duration::from_secs(5);

/// A running service.
pub struct Service {
    /// Where GraphQL answers.
    pub address: SocketAddr,
    /// Where operators ask.
    pub operators: SocketAddr,
    /// The facades, for who runs in the same process.
    pub parts: Arc<ServiceParts>,
    servers: Vec<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    drain: DrainHandle,
    drain_patience: Duration,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    bookkeeping: Arc<Bookkeeping>,
    books: (watch::Sender<bool>, JoinHandle<()>),
}

/// What stays of the parts once the workers have theirs.
pub struct ServiceParts {
    /// The facades.
    pub app: Arc<api::app::App>,
    health: Arc<http::Health>,
    /// The keys in memory.
    pub envelope: Arc<infra::envelope::Envelope>,
}

/// Starts the service.
///
/// # Errors
/// What is wrong and how to right it.
pub async fn start(config: &Config, duties: &Duties) -> Result<Service, StartupError> {
    // First, so that the address is known that platforms are to send people back to.
    let listener = duties.serve.then(|| listen(config.http.listen)).transpose()?;
    let address = listener.as_ref().map_or(Ok(config.http.listen), TcpListener::local_addr)?;
    let public_url = config.accounts.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let Parts { app, sequencing, verifying, notary, of_logs, health, db, envelope, journal, bookkeeping } =
        build(config, duties, public_url).await?;
    let bookkeeping = Arc::new(bookkeeping);
    journal.prepare()?;
    forget_again(duties, &app).await?;
    let (stop, stopping) = watch::channel(false);
    let (drain, drained) = DrainHandle::new();
    let mut workers = Vec::new();
    let backlog = sequencing.map(|(sequencer, store)| {
        workers.push(tokio::spawn(worker::sequence(sequencer, app.metrics.clone(), stopping.clone())));
        store
    });
    workers.extend(tenants_work(config, duties, &app, &stopping));
    if let Some(verifier) = verifying {
        let (clock, every, metrics) = (app.clock.clone(), config.audit.verify_every, app.metrics.clone());
        workers.push(tokio::spawn(worker::verify_logs(verifier, clock, every, metrics, stopping.clone())));
    }
    if let Some((notary, attesting)) = notary {
        let every = config.notary.interval;
        if attesting.has_attesters() {
            workers.push(tokio::spawn(worker::attest_heads(attesting, app.clone(), stopping.clone())));
        }
        workers.push(tokio::spawn(worker::notarise(notary, app.clone(), every, stopping.clone())));
    }
    if let Some(cutter) = of_logs.cutter {
        workers.push(tokio::spawn(worker::cut_segments(cutter, app.metrics.clone(), stopping.clone())));
    }
    if let Some(pruner) = of_logs.pruner {
        workers.push(tokio::spawn(worker::prune_logs(pruner, stopping.clone())));
    }
    // Until after the workers: what they call for at last is counted too, and others hear how it goes.
    let (books_stop, books_stopping) = watch::channel(false);
    let books = tokio::spawn(Arc::clone(&bookkeeping).keep(app.metrics.clone(), books_stopping));
    workers.push(tokio::spawn(figures(app.clone(), db, backlog, stopping)));
    let host = Arc::new(ProductHost::new(app.clone()));
    let ids =
        AnswerIds::new(Arc::new(Answers::new(app.clone())), config.http.deadline + Duration::from_secs(1))
            .allow_longer(http::UPLOADS, UPLOAD_DEADLINE);
    let threads = match config.http.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        workers => workers,
    };

    let mut servers = Vec::new();
    if let Some(listener) = listener {
        let sdl = graphql::sdl();
        let engine =
            Engine::new(graphql::executors(&app), &sdl, host, transport::Config::default(), drained)?;
        let (public, answer_ids) = (app.clone(), ids.clone());
        let server = HttpServer::new(move || {
            Actix::new()
                .wrap(answer_ids.clone())
                .configure(|config| engine.mount(config))
                .configure(|config| http::mount_public(&public, config))
        })
        .workers(threads)
        .shutdown_timeout(config.http.drain.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
        servers.push((server.handle(), tokio::spawn(server)));
    }
    let listener = listen(config.http.operators_listen)?;
    let operators = listener.local_addr()?;
    let (ops_app, ops_health) = (app.clone(), health.clone());
    let server = HttpServer::new(move || {
        Actix::new()
            .wrap(ids.clone())
            .configure(|config| http::mount_operators(&ops_app, &ops_health, config))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    servers.push((server.handle(), tokio::spawn(server)));
    Ok(Service {
        address,
        operators,
        parts: Arc::new(ServiceParts { app, health, envelope }),
        servers,
        drain,
        drain_patience: config.http.drain,
        stop,
        workers,
        bookkeeping,
        books: (books_stop, books),
    })
}

/// Erases again what was erased before the database was put back, where anything is served or worked on.
async fn forget_again(duties: &Duties, app: &api::app::App) -> Result<(), StartupError> {
    if !keeps_files(duties) {
        return Ok(());
    }
    let mut tries = 0;
    let again = loop {
        match app.erasures.erase_again().await {
            Ok(again) if again.faults.is_empty() || tries == LEDGER_TRIES => break again,
            Ok(_) => tracing::warn!("not all who were erased before are erased again yet"),
            Err(error) if tries == LEDGER_TRIES => {
                let told = "what was erased can't be told from what was not, so nothing is served";
                return Err(format!("{told}: {}", with_causes(&error)).into());
            }
            Err(error) => tracing::warn!(error = with_causes(&error), "it is not known yet who was erased"),
        }
        tries += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    for (scope, error) in &again.faults {
        tracing::error!(tenant = %scope.tenant(), error = with_causes(error),
            "the database was put back to before some were erased, and they are not again yet: nobody is let into a tenant that has them");
    }
    if again.done > 0 {
        let subjects = again.done;
        tracing::warn!(subjects, "the database was put back to before some were erased: they are again");
    }
    Ok(())
}

/// Starts what works for tenants, where that is a duty.
fn tenants_work(
    config: &Config,
    duties: &Duties,
    app: &Arc<api::app::App>,
    stopping: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let mut workers = Vec::new();
    if duties.has(Queue::Tokens) {
        let (accounts, metrics, width) =
            (app.accounts.clone(), app.metrics.clone(), config.accounts.pool_width);
        workers.push(tokio::spawn(worker::tend_tokens(accounts, metrics, width, stopping.clone())));
    }
    if duties.has(Queue::Uploads) {
        let (content, metrics) = (app.content.clone(), app.metrics.clone());
        workers.push(tokio::spawn(worker::tend_uploads(content, metrics, stopping.clone())));
        let (content, metrics, width) =
            (app.content.clone(), app.metrics.clone(), config.content.transcodes_at_once);
        workers.push(tokio::spawn(worker::make_transcodes(content, metrics, width, stopping.clone())));
    }
    if duties.has(Queue::Posts) {
        let (publishing, metrics, width) =
            (app.publishing.clone(), app.metrics.clone(), config.publishing.width);
        workers.push(tokio::spawn(worker::publish_posts(publishing, metrics, width, stopping.clone())));
    }
    if duties.has(Queue::Reports) {
        let (reports, metrics, width) = (app.reports.clone(), app.metrics.clone(), config.reports.at_once);
        workers.push(tokio::spawn(worker::make_reports(reports, metrics, width, stopping.clone())));
    }
    if duties.has(Queue::Changes) {
        let (changes, metrics) = (app.changes.clone(), app.metrics.clone());
        workers.push(tokio::spawn(worker::tell_changes(changes, metrics, stopping.clone())));
    }
    if duties.has(Queue::Erasures) {
        workers.push(tokio::spawn(worker::keep_erasures(app.erasures.clone(), stopping.clone())));
        workers.push(tokio::spawn(worker::end_tenants(app.erasures.clone(), stopping.clone())));
    }
    if duties.has(Queue::Records) {
        let (records, metrics) = (app.records.clone(), app.metrics.clone());
        workers.push(tokio::spawn(worker::make_records(records, metrics, stopping.clone())));
    }
    workers
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartupError> {
    let listener = TcpListener::bind(address).map_err(|e| {
        format!("can't listen on {address}: {e}; http.listen and http.operators_listen say where to")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Service {
    /// Stops in order: no new work, sockets are told to go elsewhere, open requests are waited for, what was taken
    /// down is written, keys are wiped.
    pub async fn stop(self) {
        self.parts.health.draining.store(true, Ordering::Relaxed);
        // First of all: what a platform answers while callers are waited for would be cut off.
        self.parts.app.accounts.stop_renewing();
        self.parts.app.publishing.stop_asking();
        self.drain.begin();
        for (handle, task) in self.servers {
            if tokio::time::timeout(self.drain_patience + Duration::from_secs(2), handle.stop(true))
                .await
                .is_err()
            {
                tracing::warn!("open requests were cut off");
            }
            task.abort();
        }
        let flush = self.parts.app.access_log.flush();
        if tokio::time::timeout(Duration::from_secs(5), flush).await.is_err() {
            let lost = self.parts.app.access_log.waiting();
            tracing::error!(lost, "access events were not written before the end");
        }
        let _ = self.stop.send(true);
        for worker in self.workers {
            if tokio::time::timeout(LAST_CALLS, worker).await.is_err() {
                tracing::warn!("a worker was cut off");
            }
        }
        let (stop, books) = self.books;
        let _ = stop.send(true);
        if tokio::time::timeout(LAST_BOOKS, books).await.is_err() {
            tracing::warn!("the books about calls were cut off");
        }
        self.bookkeeping.finish().await;
        self.parts.envelope.close();
    }
}

/// Asks for the figures that do not come by themselves.
async fn figures(
    app: Arc<api::app::App>,
    db: infra::postgres::Db,
    backlog: Option<infra::postgres::PgSequencerStore>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        app.metrics.database_connections.set(db.connections().0.into());
        if let Some(backlog) = &backlog
            && let Ok((waiting, oldest_s)) = backlog.backlog().await
        {
            app.metrics.audit_waiting.set(waiting);
            app.metrics.audit_lag_s.set(oldest_s);
        }
        if let Ok(unkept_s) = app.erasures.unkept_s().await {
            app.metrics.erasures_unkept_s.set(unkept_s);
        }
        if let Ok(overdue_s) = app.erasures.end_overdue_s().await {
            app.metrics.tenant_end_overdue_s.set(overdue_s);
        }
        if let Ok((waiting, lag_s)) = app.publishing.turns_behind().await {
            app.metrics.post_turns_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
            app.metrics.post_turns_lag_s.set(lag_s);
        }
        if let Ok(held) = app.publishing.accounts_held().await {
            for by in HeldBy::ALL {
                let accounts =
                    held.iter().find(|(other, _)| *other == by).map_or(0, |(_, accounts)| *accounts);
                let gauge = app.metrics.post_accounts_held.get_or_create(&HeldLabels { by: by.as_str() });
                gauge.set(i64::try_from(accounts).unwrap_or(i64::MAX));
            }
        } else {
            // What is not known is not told.
            app.metrics.post_accounts_held.clear();
        }
        for waits in Overdue::ALL {
            let labels = OverdueLabels { waits: waits.as_str() };
            match app.publishing.posts_overdue(waits).await {
                Ok(posts) => {
                    let gauge = app.metrics.posts_overdue.get_or_create(&labels);
                    gauge.set(i64::try_from(posts).unwrap_or(i64::MAX));
                }
                Err(_) => drop(app.metrics.posts_overdue.remove(&labels)),
            }
        }
        let _ = tokio::time::timeout(FIGURES_EVERY, stop.changed()).await;
    }
}

/// Resolves when the process is asked to stop: SIGTERM, SIGINT (Ctrl-C) or SIGHUP.
///
/// # Errors
/// The signals can't be listened to.
pub async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
