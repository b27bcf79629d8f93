//! Time-based one-time passwords (RFC 6238) as authenticator apps make them: SHA-1, 6 digits, 30 seconds.
//!
//! Invariants
//! - A code is right for the current step and the one before and after it: clocks differ, and people type
//!   slowly (RFC 6238 section 5.2).
//! - Codes are compared in constant time, and the step found is given back so that it can be used up.
//!
//! Absent on purpose: remembering used steps, which is the member's row, and other algorithms: some apps take
//! the parameter and go on using SHA-1.

use domain::{
    identity::ports::OneTimeCodes,
    kernel::{clock::Timestamp, secret::Secret},
};
use totp_rs::{Algorithm, Builder, Totp};

/// Length of a step, in seconds.
const STEP_S: u64 = 30;
/// Steps around the current one in which a code is right.
const STEPS_AROUND: u16 = 1;
const DIGITS: u8 = 6;
/// Shortest seed, in bytes (RFC 4226 section 4, R6).
const SEED_MIN_LEN: usize = 16;

/// [`OneTimeCodes`] for authenticator apps.
#[derive(Clone, Copy, Debug, Default)]
pub struct TotpCodes;

fn builder(seed: &Secret) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(STEPS_AROUND)
        .with_step_duration(STEP_S)
        .with_secret(seed.expose().to_vec())
}

fn generator(seed: &Secret) -> Option<Totp> {
    // A short seed is a guessable one: nothing is right for it.
    (seed.expose().len() >= SEED_MIN_LEN).then(|| builder(seed).build().ok())?
}

/// A label in an `otpauth://` address. A colon divides issuer and account, so neither may have one.
fn label(text: &str) -> String {
    text.replace(':', " ")
}

impl OneTimeCodes for TotpCodes {
    fn matching_step(&self, seed: &Secret, code: &str, now: Timestamp) -> Option<i64> {
        let seconds = u64::try_from(now.timestamp()).ok()?;
        let step = generator(seed)?.check(code, seconds)?;
        i64::try_from(step).ok()
    }

    fn provisioning_uri(&self, seed: &Secret, issuer: &str, account: &str) -> String {
        let account = if account.is_empty() { "member" } else { account };
        let generator = builder(seed)
            .with_issuer(Some(label(issuer)))
            .with_account_name(label(account))
            .build_noncompliant();
        // The one refusal there is, an account without a name, has been met above.
        generator.to_url().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The seed of RFC 6238, appendix B.
    fn seed() -> Secret {
        Secret::new(b"12345678901234567890".to_vec())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    /// RFC 6238, appendix B, SHA-1; its codes have 8 digits, ours are the last 6 of them.
    const VECTORS: [(i64, &str); 6] = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];

    #[test]
    fn agrees_with_the_rfc_and_names_the_step() {
        for (seconds, code) in VECTORS {
            assert_eq!(
                TotpCodes.matching_step(&seed(), &code[2..], at(seconds)),
                Some(seconds / 30),
                "{seconds}"
            );
        }
    }

    #[test]
    fn is_right_one_step_around_and_no_further() {
        for (seconds, code) in VECTORS {
            let (step, code) = (seconds / 30, &code[2..]);
            for (away, found) in [(-2, None), (-1, Some(step)), (0, Some(step)), (1, Some(step)), (2, None)] {
                let now = (step + away) * 30;
                if now < 0 {
                    continue;
                }
                assert_eq!(TotpCodes.matching_step(&seed(), code, at(now)), found, "{code} {away}");
                assert_eq!(
                    TotpCodes.matching_step(&seed(), code, at(now + 29)),
                    found,
                    "{code} {away}, late"
                );
            }
        }
    }

    #[test]
    fn what_is_not_six_digits_is_wrong() {
        for bad in [
            "",
            "287082 ",
            " 287082",
            "94287082",
            "28708",
            "+87082",
            "28708٢",
            "２８７０８２",
            "287 82",
            "-87082",
        ] {
            assert_eq!(TotpCodes.matching_step(&seed(), bad, at(59)), None, "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_right_for_a_short_seed_or_before_1970() {
        let short = Secret::new(vec![1; SEED_MIN_LEN - 1]);
        let code = builder(&short).build_noncompliant().generate(59).to_string();
        assert_eq!(TotpCodes.matching_step(&short, &code, at(59)), None);
        assert_eq!(TotpCodes.matching_step(&seed(), "287082", at(-1)), None);
    }

    #[test]
    fn the_address_is_what_apps_read() {
        assert_eq!(
            TotpCodes.provisioning_uri(&seed(), "Matricula", "ada@example.com"),
            "otpauth://totp/Matricula:ada%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Matricula"
        );
    }

    proptest! {
        #[test]
        fn labels_cannot_add_parameters(issuer in "\\PC{1,20}", account in "\\PC{0,20}") {
            let uri = TotpCodes.provisioning_uri(&seed(), &issuer, &account);
            let (path, query) = uri.split_once('?').unwrap();
            prop_assert!(path.starts_with("otpauth://totp/"));
            prop_assert_eq!(path.matches(':').count(), 2, "{}", uri);
            let names: Vec<_> = query.split('&').map(|pair| pair.split('=').next().unwrap_or("")).collect();
            prop_assert_eq!(names, ["secret", "issuer"], "{}", uri);
        }
    }
}
