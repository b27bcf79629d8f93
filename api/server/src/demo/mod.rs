//! `matricula demo`: the main job, played on the product as its users would, with a display of each step.

mod auditing;
mod client;
mod linking;
mod posting;
mod stage;
mod story;

use std::io::Write as _;

use crate::{
    dev::{self, DevOptions},
    serve::asked_to_stop,
    wiring::StartupError,
};

/// Plays the story; then stays up, unless told to end, and says where everything is.
///
/// # Errors
/// A step did not go as told: which, and what came instead.
pub async fn run(options: &DevOptions, exit: bool) -> Result<(), StartupError> {
    let mut stage = stage::Stage::new();
    stage.title("Matricula: starting Postgres, Redis, the sandbox and the service");
    let dev = Box::pin(dev::run(options)).await?;
    let played = Box::pin(story::play(&dev, &mut stage)).await;
    let stayed = match played {
        Ok(()) if !exit => {
            stage.epilogue(&dev.report)?;
            asked_to_stop().await.map_err(Into::into)
        }
        other => other,
    };
    writeln!(std::io::stdout(), "stopping")?;
    dev.stop().await?;
    stayed
}
