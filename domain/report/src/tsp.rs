//! Timestamps (RFC 3161): what an authority is asked, and what it answered, in the one form a bundle keeps.
//!
//! An authority's answer has parts that nobody signs: a status text, unsigned attributes, certificates nobody needs.
//! [`keep`] takes them off, so that no byte of what is kept can be changed unseen.

use audit_log::merkle::Hash;
use der::{
    Any, Decode as _, Encode as _, Sequence, Tag, TagNumber, Tagged as _,
    asn1::{Int, Null, OctetString, SetOfVec},
};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    spki::{AlgorithmIdentifierOwned, ObjectIdentifier},
};

use crate::{
    FormatError,
    cms::{ContentInfo, low_s, oid},
    names::TIMESTAMP,
    time::Time,
};

/// The longest answer that is read, in bytes.
pub const RESPONSE_MAX_BYTES: usize = 256 << 10;

/// What the authority's name is tagged with in [`TstInfo`]'s structure.
const AUTHORITY: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };

/// How certificates are reached from the signer's, at most.
const CHAIN_MAX: usize = 8;

/// RFC 3161 section 2.4.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hash: OctetString,
}

/// RFC 3161 section 2.4.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Request {
    version: u8,
    imprint: Imprint,
    nonce: u64,
    certificates: bool,
}

/// RFC 3161 section 2.4.2, of an answer that grants and says no more.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Response {
    status: Status,
    token: ContentInfo,
}

#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
struct Status {
    status: u8,
}

/// What an authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TstInfo {
    /// SHA-256 of what was stamped.
    pub imprint: Hash,
    /// When, rounded down to microseconds.
    pub at: Time,
    /// The asker's number, big-endian without leading zeros.
    pub nonce: Option<Vec<u8>>,
}

/// A timestamp whose form is right. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The signed structure.
    pub info: ContentInfo,
    /// The bytes that are signed.
    pub content: Vec<u8>,
    /// What they say.
    pub says: TstInfo,
}

const fn fault() -> FormatError {
    FormatError::Der { what: TIMESTAMP }
}

/// The request (DER) for a timestamp over `data`, with the authority's certificates. The `nonce` is random; an answer
/// must repeat it.
///
/// # Errors
/// `Der`.
pub fn request(data: &[u8], nonce: u64) -> Result<Vec<u8>, FormatError> {
    let hash = OctetString::new(&Sha256::digest(data)[..]).map_err(|_| fault())?;
    let algorithm = AlgorithmIdentifierOwned { oid: oid::SHA_256, parameters: Some(Any::from(Null)) };
    let request = Request { version: 1, imprint: Imprint { algorithm, hash }, nonce, certificates: true };
    request.to_der().map_err(|_| fault())
}

/// What is kept of an authority's answer (DER) to [`request`] over `data`, in its one form. The signature is not
/// verified.
///
/// # Errors
/// `Der` when it does not grant, or is not over `data`, or repeats another nonce.
pub fn keep(answer: &[u8], data: &[u8], nonce: u64) -> Result<Vec<u8>, FormatError> {
    if answer.len() > RESPONSE_MAX_BYTES {
        return Err(fault());
    }
    let parts = Vec::<Any>::from_der(answer).map_err(|_| fault())?;
    let [status, token] = parts.as_slice() else { return Err(fault()) };
    let status = status.decode_as::<Vec<Any>>().map_err(|_| fault())?;
    let granted = status.first().and_then(|status| status.decode_as::<u8>().ok());
    if !matches!(granted, Some(0 | 1)) {
        return Err(fault());
    }
    let mut token = ContentInfo::read(TIMESTAMP, &token.to_der().map_err(|_| fault())?)?;
    prune(&mut token)?;
    let kept = Response { status: Status { status: 0 }, token }.to_der().map_err(|_| fault())?;
    let says = parse(&kept)?.says;
    let number = nonce.to_be_bytes();
    let number = number.get(number.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let right = says.imprint.0 == <[u8; 32]>::from(Sha256::digest(data))
        && says.nonce.as_deref().is_some_and(|repeated| repeated == number);
    if right { Ok(kept) } else { Err(fault()) }
}

/// Takes off what is not signed and not needed.
fn prune(token: &mut ContentInfo) -> Result<(), FormatError> {
    let signed = &mut token.content;
    let mut signers = signed.signers.as_slice().to_vec();
    for info in &mut signers {
        info.unsigned_attributes = None;
        // Nothing or NULL: nobody signs which.
        info.digest_algorithm.parameters = None;
        if info.signature_algorithm.oid == oid::ECDSA_SHA_256 {
            let low = low_s(info.signature.as_bytes()).ok_or_else(fault)?;
            info.signature = OctetString::new(low).map_err(|_| fault())?;
        }
        // One of two ways to say the same; the digest is named beside it.
        if [oid::RSA_SHA_256, oid::RSA_SHA_384, oid::RSA_SHA_512].contains(&info.signature_algorithm.oid) {
            info.signature_algorithm =
                AlgorithmIdentifierOwned { oid: oid::RSA, parameters: Some(Any::from(Null)) };
        }
    }
    let [only] = signers.as_slice() else { return Err(fault()) };
    let all = signed.certificates(TIMESTAMP)?;
    let names = |certificate: &Certificate| {
        let tbs = certificate.tbs_certificate();
        (tbs.subject().clone(), tbs.issuer().clone())
    };
    let mut kept = Vec::new();
    let mut next = all.iter().find(|(_, certificate)| {
        let tbs = certificate.tbs_certificate();
        *tbs.issuer() == only.signer.issuer && *tbs.serial_number() == only.signer.serial_number
    });
    while let Some((der, certificate)) = next.filter(|_| kept.len() < CHAIN_MAX) {
        kept.push(Any::from_der(der).map_err(|_| fault())?);
        let (_, issuer) = names(certificate);
        // Roots issue themselves, and come from outside.
        next = all.iter().find(|(_, other)| names(other).0 == issuer && names(other).1 != issuer);
    }
    signed.digest_algorithms =
        SetOfVec::try_from(vec![only.digest_algorithm.clone()]).map_err(|_| fault())?;
    signed.signers = SetOfVec::try_from(signers).map_err(|_| fault())?;
    signed.certificates = Some(SetOfVec::try_from(kept).map_err(|_| fault())?);
    Ok(())
}

/// Reads what [`keep`] kept and nothing else.
///
/// # Errors
/// `Der`, `OtherForm`.
pub fn parse(kept: &[u8]) -> Result<Token, FormatError> {
    if kept.len() > RESPONSE_MAX_BYTES {
        return Err(fault());
    }
    let response = Response::from_der(kept).map_err(|_| fault())?;
    let granted = response.status.status == 0 && response.token.content_type == oid::SIGNED_DATA;
    if !granted || response.to_der().map_err(|_| fault())? != kept {
        return Err(FormatError::OtherForm { what: TIMESTAMP });
    }
    let info = response.token;
    let encapsulated = &info.content.encapsulated;
    let content = encapsulated.content.as_ref().filter(|_| encapsulated.content_type == oid::TST_INFO);
    let content = content.ok_or_else(fault)?.as_bytes().to_vec();
    let says = tst_info(&content)?;
    Ok(Token { info, content, says })
}

/// RFC 3161 section 2.4.2. Read as a list: of what may follow the time only the nonce is of use. Extensions are refused:
/// one could say that the rest is meant otherwise.
fn tst_info(content: &[u8]) -> Result<TstInfo, FormatError> {
    let parts = Vec::<Any>::from_der(content).map_err(|_| fault())?;
    let [version, policy, imprint, serial, at, rest @ ..] = parts.as_slice() else { return Err(fault()) };
    let typed = version.decode_as::<u8>().is_ok_and(|version| version == 1)
        && policy.decode_as::<ObjectIdentifier>().is_ok()
        && serial.tag() == Tag::Integer
        && at.tag() == Tag::GeneralizedTime;
    let imprint = imprint.decode_as::<Imprint>().map_err(|_| fault())?;
    let hash = Hash::from_slice(imprint.hash.as_bytes()).map_err(|_| fault())?;
    if !typed || imprint.algorithm.oid != oid::SHA_256 {
        return Err(fault());
    }
    // Accuracy, ordering, nonce and authority's name, each or not, in this order.
    let order = [Tag::Sequence, Tag::Boolean, Tag::Integer, AUTHORITY];
    let places = rest.iter().map(|part| order.iter().position(|tag| *tag == part.tag()));
    let places: Vec<_> = places.collect::<Option<_>>().ok_or_else(fault)?;
    if !places.is_sorted_by(|earlier, later| earlier < later) {
        return Err(fault());
    }
    let nonce = rest.iter().find(|part| part.tag() == Tag::Integer);
    let nonce = nonce.map(|part| part.decode_as::<Int>().map_err(|_| fault())).transpose()?;
    let nonce = nonce.map(|number| {
        let bytes = number.as_bytes();
        bytes.get(bytes.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default().to_vec()
    });
    Ok(TstInfo { imprint: hash, at: gen_time(at.value())?, nonce })
}

/// GeneralizedTime in UTC, with or without a fraction of a second (RFC 3161 section 2.4.2).
fn gen_time(text: &[u8]) -> Result<Time, FormatError> {
    let text = str::from_utf8(text).ok().and_then(|text| text.strip_suffix('Z')).ok_or_else(fault)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.len() == 14 && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !digits || fraction.len() > 32 {
        return Err(fault());
    }
    let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
    let micros: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    let (date, clock) = ([part(0, 4), part(4, 6), part(6, 8)], [part(8, 10), part(10, 12), part(12, 14)]);
    Time::parse(format!("{}T{}.{micros}Z", date.join("-"), clock.join(":")).as_bytes()).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_authorities_are_read() {
        for (text, time) in [
            ("20260701000000Z", "2026-07-01T00:00:00.000000Z"),
            ("20260701000000.5Z", "2026-07-01T00:00:00.500000Z"),
            ("20260701000000.1234567Z", "2026-07-01T00:00:00.123456Z"),
        ] {
            assert_eq!(gen_time(text.as_bytes()).map(String::from).as_deref(), Ok(time));
        }
        for bad in
            ["20260701000000", "202607010000Z", "20260701000000+0800", "20261301000000Z", "2026070100000éZ"]
        {
            assert!(gen_time(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_authority_says_has_one_order_and_no_extensions() {
        let hash = OctetString::new([7; 32]).expect("short");
        let algorithm = AlgorithmIdentifierOwned { oid: oid::SHA_256, parameters: None };
        let any = |der: Vec<u8>| Any::from_der(&der).expect("DER");
        let head = [
            any(1_u8.to_der().expect("DER")),
            any(ObjectIdentifier::new_unwrap("1.2.3").to_der().expect("DER")),
            any(Imprint { algorithm, hash }.to_der().expect("DER")),
            any(5_u8.to_der().expect("DER")),
            any(b"\x18\x0f20260701000000Z".to_vec()),
        ];
        let read = |rest: &[&[u8]]| {
            let rest = rest.iter().map(|der| any(der.to_vec()));
            let all: Vec<_> = head.iter().cloned().chain(rest).collect();
            tst_info(&all.to_der().expect("DER"))
        };
        let (accuracy, ordering, nonce): (&[u8], &[u8], &[u8]) =
            (b"\x30\x00", b"\x01\x01\xff", b"\x02\x01\x09");
        let (name, extensions): (&[u8], &[u8]) = (b"\xa0\x02\x30\x00", b"\xa1\x02\x30\x00");
        for good in [&[][..], &[nonce], &[accuracy, nonce], &[accuracy, ordering, nonce, name]] {
            assert!(read(good).is_ok(), "{good:?}");
        }
        assert_eq!(read(&[nonce]).map(|says| says.nonce), Ok(Some(vec![9])));
        for bad in
            [&[nonce, accuracy][..], &[nonce, nonce], &[extensions], &[nonce, extensions], &[name, nonce]]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        for bad in [&b""[..], b"\x30\x00", b"\x30\x05\x30\x03\x02\x01\x02", &[0xff; 100]] {
            assert!(keep(bad, b"data", 1).is_err());
            assert!(parse(bad).is_err());
        }
    }
}
