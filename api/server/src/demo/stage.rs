//! What the viewer sees.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Instant,
};

use crate::dev::DevReport;

/// Lines on the terminal: one for each step, with what came of it and how long it took.
pub(super) struct Stage {
    colour: bool,
    step: u32,
    begun: Instant,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { colour: std::io::stdout().is_terminal(), step: 0, begun: Instant::now() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn line(text: &str) {
        // A closed pipe is no reason to stop the story.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    pub(super) fn title(&mut self, text: &str) {
        Self::line(&self.paint("1", text));
        self.begun = Instant::now();
    }

    /// Tells what a step is about to do.
    pub(super) fn step(&mut self, what: &str) {
        self.step += 1;
        Self::line(&format!("{} {what}", self.paint("36", &format!("{:>2}.", self.step))));
        self.begun = Instant::now();
    }

    /// Tells what came of it.
    pub(super) fn done(&mut self, what: &str) {
        let took = self.begun.elapsed().as_millis();
        Self::line(&format!(
            "    {} {what} {}",
            self.paint("32", "ok"),
            self.paint("2", &format!("({took} ms)"))
        ));
    }

    /// Tells something beside the steps.
    pub(super) fn note(&self, text: &str) {
        Self::line(&format!("    {}", self.paint("2", text)));
    }

    pub(super) fn epilogue(&self, report: &DevReport) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let owner = report.tenants.first().and_then(|tenant| tenant.members.first());
        let token = owner.map_or("", |member| member.access_token.as_str());
        writeln!(
            out,
            "\n{}",
            self.paint("1", "The story is over and the service stays up. Ctrl-C ends it.")
        )?;
        writeln!(out, "  GraphQL     {}", report.graphql)?;
        writeln!(out, "  WebSocket   {}", report.websocket)?;
        writeln!(out, "  metrics     {}", report.metrics)?;
        writeln!(out, "  sandbox     {}", report.sandbox)?;
        writeln!(out, "\nTokens, good for 15 minutes (all members with their passwords are in dev.json):")?;
        for tenant in &report.tenants {
            for member in &tenant.members {
                writeln!(out, "  {:<9} {:<9} {}", tenant.slug, member.role, member.access_token)?;
            }
        }
        writeln!(out, "\nThree queries to try:")?;
        for query in [
            "{ viewer { permissions tenant { name } member { name role } } }",
            "{ members(first: 10) { totalCount nodes { name role email sessions(first: 2) { nodes { createdAt isCurrent } } } } }",
            "{ auditEvents(last: 5) { nodes { index type outcome occurredAt complianceId } } auditCheckpoint(stream: IAM) { note } }",
        ] {
            writeln!(
                out,
                "  curl -s {} -H 'content-type: application/json' -H 'authorization: Bearer {token}' \\\n       -d '{{\"query\":\"{query}\"}}'",
                report.graphql
            )?;
        }
        out.flush()
    }
}
