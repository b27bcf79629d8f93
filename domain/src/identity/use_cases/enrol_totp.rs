//! A member sets up its second factor, proves to have it, or gives it up.

use super::{
    super::{
        actions,
        model::{RECOVERY_CODES, RecoveryCode, Totp},
        ports::IdentityTx,
    },
    Identity,
    sign_in::recovery_hash,
};
use crate::{
    identity::IdentityError,
    kernel::{actor::Actor, outbox::Party, secret::Secret},
};

/// A second factor that was begun, shown once.
#[derive(Clone, Debug)]
pub struct TotpEnrolment {
    /// The `otpauth://` address for the QR code.
    pub provisioning_uri: Secret,
}

/// Letters and digits without those taken for one another (Crockford's base 32).
const RECOVERY_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Identity {
    /// Begins a second factor. It is not asked for until it is confirmed.
    ///
    /// # Errors
    /// `NeedsMember`, `TotpActive`, `Port`.
    pub async fn enrol_totp(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
    ) -> Result<TotpEnrolment, IdentityError> {
        let mut member = Self::acting_member(tx, actor).await?;
        if member.has_second_factor() {
            return Err(IdentityError::TotpActive);
        }
        let seed = Secret::new(self.0.entropy.bytes32()[..20].to_vec());
        let issuer = tx.tenant().await?.map_or_else(String::new, |tenant| tenant.name);
        let uri = self.0.codes.provisioning_uri(&seed, &issuer, member.email.expose());
        member.totp = Some(Totp { seed, confirmed_at: None, last_step: None });
        tx.update_member(&member).await?;
        Self::done(tx, actions::ENROL_TOTP, Party::new("member", member.id.uuid())).await?;
        Ok(TotpEnrolment { provisioning_uri: Secret::from(uri) })
    }

    /// Proves to have the second factor, which is asked for from now on. Gives recovery codes, shown once.
    ///
    /// # Errors
    /// `NeedsMember`, `TotpAbsent`, `TotpActive`, `CodeWrong`, `Port`.
    pub async fn confirm_totp(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        code: &Secret,
    ) -> Result<Vec<Secret>, IdentityError> {
        let now = self.0.clock.now();
        let mut member = Self::acting_member(tx, actor).await?;
        if member.has_second_factor() {
            return Err(IdentityError::TotpActive);
        }
        if member.totp.is_none() {
            return Err(IdentityError::TotpAbsent);
        }
        if !self.take_totp_step(&mut member, code, now) {
            return Err(IdentityError::CodeWrong);
        }
        if let Some(totp) = member.totp.as_mut() {
            totp.confirmed_at = Some(now);
        }
        tx.update_member(&member).await?;
        let codes: Vec<Secret> = (0..RECOVERY_CODES).map(|_| self.recovery_code()).collect();
        let kept: Vec<RecoveryCode> =
            codes.iter().map(|code| RecoveryCode { hash: recovery_hash(code), used_at: None }).collect();
        tx.put_recovery_codes(member.id, &kept).await?;
        Self::done(tx, actions::CONFIRM_TOTP, Party::new("member", member.id.uuid())).await?;
        Ok(codes)
    }

    /// Gives the second factor up, with a code of it.
    ///
    /// # Errors
    /// `NeedsMember`, `TotpAbsent`, `CodeWrong`, `Port`.
    pub async fn disable_totp(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        code: &Secret,
    ) -> Result<(), IdentityError> {
        let now = self.0.clock.now();
        let mut member = Self::acting_member(tx, actor).await?;
        if member.totp.is_none() {
            return Err(IdentityError::TotpAbsent);
        }
        let right = self.take_totp_step(&mut member, code, now)
            || tx.use_recovery_code(member.id, recovery_hash(code), now).await?;
        if !right {
            return Err(IdentityError::CodeWrong);
        }
        member.totp = None;
        tx.update_member(&member).await?;
        tx.put_recovery_codes(member.id, &[]).await?;
        Self::done(tx, actions::DISABLE_TOTP, Party::new("member", member.id.uuid())).await
    }

    /// 16 characters of 5 bits: 80 random bits, in groups of four.
    fn recovery_code(&self) -> Secret {
        let bytes = self.0.entropy.bytes32();
        let mut text = String::with_capacity(19);
        for (i, byte) in bytes.iter().take(16).enumerate() {
            if i > 0 && i % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(RECOVERY_ALPHABET[usize::from(byte & 31)]));
        }
        Secret::from(text)
    }
}
