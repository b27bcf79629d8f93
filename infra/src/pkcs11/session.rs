//! The module, one session with it, and the root keys found there.

use std::sync::{Mutex, PoisonError};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use domain::kernel::ids::Entropy as _;
use zeroize::Zeroizing;

use super::Pkcs11Settings;
use crate::system::System;

const NONCE_LEN: usize = 12;
const TAG_BITS: u64 = 128;

/// What the module or its keys are wrong about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ModuleFault {
    #[error("the module says {0}")]
    Module(#[from] Error),
    #[error("the module has no token with the label {0}")]
    NoToken(String),
    #[error("the token has no AES-256 key with the label {0}")]
    NoKey(String),
    #[error("the key {0} could be taken out of the module: it must be sensitive and not extractable")]
    Extractable(u32),
    #[error("the token has no key pair of the kind wanted with the label {0}")]
    NoPair(String),
    #[error("the key pair {0} could be taken out of the module: it must be sensitive and not extractable")]
    ExtractablePair(String),
    #[error("a key's CKA_ID is not its version, 1 to 4 bytes of a number above zero")]
    Unnumbered,
    #[error("the key {0} has {1} bytes: it must be an AES key of 32")]
    Length(u32, u64),
    #[error("two keys have the version {0}")]
    Twice(u32),
    #[error("the wrapped key has an unknown form")]
    Malformed,
    #[error("the wrapped key needs root key v{0}, which the token does not have")]
    UnknownRoot(u32),
    #[error("the wrapped key does not open: it was changed, or belongs elsewhere")]
    Refused,
    #[error("the module says {0}, which may be of the key or of the module")]
    Unclear(Error),
    #[error(
        "the token refused the PIN; it is not tried again until the service is started anew, or the token would lock"
    )]
    PinRefused,
}

impl ModuleFault {
    /// Whether another session may do, or find more keys.
    fn is_of_session(&self) -> bool {
        matches!(self, Self::UnknownRoot(_) | Self::Unclear(_)) || self.is_of_lost_session()
    }

    fn is_of_lost_session(&self) -> bool {
        matches!(
            self,
            Self::Module(Error::Pkcs11(
                RvError::SessionClosed
                    | RvError::SessionHandleInvalid
                    | RvError::DeviceError
                    | RvError::DeviceRemoved
                    | RvError::KeyHandleInvalid
                    | RvError::ObjectHandleInvalid
                    | RvError::TokenNotPresent
                    | RvError::UserNotLoggedIn
                    | RvError::CryptokiNotInitialized,
                _
            ))
        )
    }

    pub(super) fn is_passing(&self) -> bool {
        self.is_of_lost_session()
            || matches!(
                self,
                // A token may be on its way back.
                Self::NoToken(_)
                    | Self::Module(Error::Pkcs11(
                        RvError::DeviceMemory
                            | RvError::FunctionFailed
                            | RvError::FunctionCanceled
                            | RvError::GeneralError
                            | RvError::HostMemory
                            | RvError::SessionCount,
                        _
                    ))
            )
    }
}

/// A root key in the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) version: u32,
    handle: ObjectHandle,
}

/// A session that is logged in, and the keys it found.
pub(super) struct Open {
    session: Session,
    /// Oldest first, never empty.
    roots: Vec<Root>,
    newest: Root,
}

/// A way to the module that opens a session when there is none.
pub(super) struct Connection {
    settings: Pkcs11Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Loaded and initialised once in a process: the module keeps its state by process.
    module: Option<Pkcs11>,
    open: Option<Open>,
    is_pin_refused: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(settings: Pkcs11Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Runs `call` with a session. One that is found gone is opened again, once.
    pub(super) fn with<T>(&self, call: impl Fn(&Open) -> Result<T, ModuleFault>) -> Result<T, ModuleFault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = state.open.is_some();
        let done = call(state.opened(&self.settings)?);
        match done {
            Err(fault) if fault.is_of_session() && was_open => {
                state.open = None;
                if matches!(&fault, ModuleFault::Module(Error::Pkcs11(RvError::CryptokiNotInitialized, _))) {
                    state.module = None;
                }
                call(state.opened(&self.settings)?)
            }
            other => other,
        }
        // Said twice, by two sessions: it is of the key.
        .map_err(|fault| if matches!(fault, ModuleFault::Unclear(_)) { ModuleFault::Refused } else { fault })
    }
}

impl State {
    fn opened(&mut self, settings: &Pkcs11Settings) -> Result<&Open, ModuleFault> {
        let module = match &self.module {
            Some(module) => module,
            None => self.module.insert(load(settings)?),
        };
        if self.is_pin_refused {
            return Err(ModuleFault::PinRefused);
        }
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                let started = Open::start(module, settings);
                self.is_pin_refused = matches!(started, Err(ModuleFault::PinRefused));
                Ok(none.insert(started?))
            }
        }
    }
}

fn load(settings: &Pkcs11Settings) -> Result<Pkcs11, ModuleFault> {
    let module = Pkcs11::new(&settings.module)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(error.into()),
    }
}

impl Open {
    fn start(module: &Pkcs11, settings: &Pkcs11Settings) -> Result<Self, ModuleFault> {
        let mut found = None;
        for slot in module.get_slots_with_initialized_token()? {
            if module.get_token_info(slot)?.label().trim_end() == settings.token {
                found = Some(slot);
                break;
            }
        }
        let slot = found.ok_or_else(|| ModuleFault::NoToken(settings.token.clone()))?;
        let session = module.open_ro_session(slot)?;
        let pin = AuthPin::from(settings.pin.as_str());
        match session.login(UserType::User, Some(&pin)) {
            // Logins are of the process, not of the session.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinLocked | RvError::PinExpired | RvError::PinInvalid,
                _,
            )) => return Err(ModuleFault::PinRefused),
            Err(error) => return Err(error.into()),
        }
        let roots = roots(&session, &settings.key)?;
        let newest = *roots.last().ok_or_else(|| ModuleFault::NoKey(settings.key.clone()))?;
        Ok(Self { session, roots, newest })
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    pub(super) const fn newest(&self) -> Root {
        self.newest
    }

    pub(super) fn root(&self, version: u32) -> Result<Root, ModuleFault> {
        let known = self.roots.iter().find(|root| root.version == version);
        known.copied().ok_or(ModuleFault::UnknownRoot(version))
    }

    /// The nonce, and the key encrypted with its tag behind.
    pub(super) fn seal(
        &self,
        root: Root,
        aad: &[u8],
        key: &[u8],
    ) -> Result<([u8; NONCE_LEN], Vec<u8>), ModuleFault> {
        let random = System.bytes32();
        let nonce = *random.first_chunk::<NONCE_LEN>().ok_or(ModuleFault::Malformed)?;
        let mut given = nonce;
        let parameters = GcmParams::new(&mut given, aad, TAG_BITS.into())?;
        let sealed = self.session.encrypt(&Mechanism::AesGcm(parameters), root.handle, key)?;
        // A module that put in a nonce of its own has made something that could not be opened again.
        if given == nonce { Ok((nonce, sealed)) } else { Err(ModuleFault::Refused) }
    }

    pub(super) fn open(
        &self,
        root: Root,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ModuleFault> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(ModuleFault::Malformed)?;
        let mut nonce = *nonce;
        let parameters = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
        match self.session.decrypt(&Mechanism::AesGcm(parameters), root.handle, sealed) {
            Ok(opened) => Ok(Zeroizing::new(opened)),
            // Modules differ in what they say of a tag that does not fit.
            Err(Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::DataInvalid
                | RvError::DataLenRange,
                _,
            )) => Err(ModuleFault::Refused),
            Err(error @ Error::Pkcs11(RvError::FunctionFailed | RvError::GeneralError, _)) => {
                Err(ModuleFault::Unclear(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The root keys, oldest first.
fn roots(session: &Session, label: &str) -> Result<Vec<Root>, ModuleFault> {
    let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(label.as_bytes().to_vec())];
    let asked =
        [AttributeType::Id, AttributeType::Sensitive, AttributeType::Extractable, AttributeType::ValueLen];
    let mut roots: Vec<Root> = Vec::new();
    for handle in session.find_objects(&wanted)? {
        let (mut version, mut sensitive, mut extractable, mut length) = (None, false, true, 0_u64);
        for attribute in session.get_attributes(handle, &asked)? {
            if let Attribute::Id(id) = attribute {
                version = version_of(&id);
            } else if let Attribute::Sensitive(is) = attribute {
                sensitive = is;
            } else if let Attribute::Extractable(is) = attribute {
                extractable = is;
            } else if let Attribute::ValueLen(len) = attribute {
                length = len.into();
            }
        }
        let version = version.ok_or(ModuleFault::Unnumbered)?;
        if extractable || !sensitive {
            return Err(ModuleFault::Extractable(version));
        }
        // Passed over, it would leave an older key to wrap on, and whoever brought it in would not hear of it.
        if length != 32 {
            return Err(ModuleFault::Length(version, length));
        }
        roots.push(Root { version, handle });
    }
    roots.sort_by_key(|root| root.version);
    match roots.windows(2).find(|pair| pair[0].version == pair[1].version) {
        Some(pair) => Err(ModuleFault::Twice(pair[0].version)),
        None => Ok(roots),
    }
}

fn version_of(id: &[u8]) -> Option<u32> {
    if id.is_empty() || id.len() > 4 {
        return None;
    }
    let version = id.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    (version > 0).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_above_zero() {
        for (id, version) in [
            (&[1][..], Some(1)),
            (&[1, 0], Some(256)),
            (&[255; 4], Some(u32::MAX)),
            (&[], None),
            (&[0], None),
            (&[0, 0, 0, 0, 1], None),
        ] {
            assert_eq!(version_of(id), version, "{id:?}");
        }
    }
}
