//! Messages to people, as files for a mail transfer agent to pick up.
//!
//! Each message is one `.eml` file (RFC 5322) in `<directory>/new`, complete when it appears there: it is
//! written in `<directory>/tmp` and renamed, as in a maildir.
//!
//! Invariants
//! - Files can be read by their owner alone: they hold one-time tokens. Whatever picks them up runs as the same
//!   user.
//! - Nothing that came from outside can start a new header or end the header section: a value with a control
//!   character is refused before anything is written.
//! - Addresses and tokens are in the file and nowhere else: not in its name, in errors or in logs.
//!
//! Absent on purpose: SMTP. Queues, retries, TLS and bounces are the mail transfer agent's trade.

mod message;
mod place;

use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use domain::{
    identity::{
        model::{EmailAddress, PasswordReset},
        ports::Courier,
    },
    kernel::{clock::Clock, fault::PortError, ids::Entropy, scope::TenantScope, secret::Secret},
};
use zeroize::Zeroizing;

use self::{message::Message, place::Place};
pub use self::{message::MessageFault, place::SpoolError};

const PORT: &str = "spool";
/// Longest address a link may be built on, and longest token, in bytes: together they fit one line (998 bytes,
/// RFC 5322 section 2.1.1).
const RESET_URL_MAX_LEN: usize = 512;
const TOKEN_MAX_LEN: usize = 256;

/// Where messages go and what they say.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The spool's directory. Made when missing; its parent must be there.
    pub directory: PathBuf,
    /// The address messages come from.
    pub from: EmailAddress,
    /// Where a new password is chosen, as `https://console.example.com/reset`. The token is put behind it as a
    /// fragment, which browsers send to no server.
    pub reset_url: String,
}

/// [`Courier`] that leaves messages in a directory.
pub struct SpoolCourier {
    place: Place,
    from: EmailAddress,
    reset_url: String,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for SpoolCourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolCourier").field("place", &self.place).finish_non_exhaustive()
    }
}

impl SpoolCourier {
    /// Opens the spool, making its directories when they are missing.
    ///
    /// # Errors
    /// [`SpoolError`] when the directories can't be made, others can read them, or the link is not one.
    pub fn open(
        settings: SpoolSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SpoolError> {
        let SpoolSettings { directory, from, reset_url } = settings;
        let is_link = (reset_url.starts_with("https://") || reset_url.starts_with("http://"))
            && reset_url.len() <= RESET_URL_MAX_LEN
            && reset_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_link {
            return Err(SpoolError::NotALink);
        }
        Ok(Self { place: Place::open(&directory)?, from, reset_url, clock, entropy })
    }

    fn password_reset(&self, to: &EmailAddress, token: &Secret) -> Result<Message, MessageFault> {
        let token = token.expose_str().filter(|token| is_token(token)).ok_or(MessageFault::Token)?;
        let now = self.clock.now();
        let minutes = (PasswordReset::expiry(now) - now).num_minutes();
        let body = Zeroizing::new(format!(
            "Somebody asked to set a new password for this address.\n\
             \n\
             To choose one, open this link within {minutes} minutes. It works once:\n\
             \n\
             {}#{token}\n\
             \n\
             If it was not you, there is nothing to do: your password stays as it is.\n",
            self.reset_url,
        ));
        Message::new(&self.from, to, "Set a new password", &body, now, &self.entropy.bytes32())
    }
}

/// Letters that stand for themselves in a link and in a message.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_MAX_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[async_trait]
impl Courier for SpoolCourier {
    async fn send_password_reset(
        &self,
        _scope: &TenantScope,
        to: &EmailAddress,
        token: &Secret,
    ) -> Result<(), PortError> {
        let message = self.password_reset(to, token).map_err(|fault| PortError::lasting(PORT, fault))?;
        let place = self.place.clone();
        let written = tokio::task::spawn_blocking(move || place.put(&message)).await;
        match written {
            Ok(written) => written.map_err(|error| PortError::passing(PORT, error)),
            Err(_) => Err(PortError::passing(PORT, "writing the message was cut short")),
        }
    }
}

#[cfg(test)]
mod tests;
