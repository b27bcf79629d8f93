//! The port on the crate.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use domain::{identity::ports::Geography, kernel::outbox::Geo};
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum GeographyError {
    /// The file is not there, or may not be read.
    #[error("the geography database {path} could not be read")]
    Unread {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged, cut short or something else.
    #[error("the geography database {path} is not a whole MaxMind database")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: MaxMindDbError,
    },
}

/// [`Geography`] from a file.
pub struct MaxMindGeography {
    reader: Reader<Vec<u8>>,
}

impl MaxMindGeography {
    /// Reads the file into memory and through to its end: damage shows here or never. Blocks while it does; call it
    /// while starting.
    ///
    /// # Errors
    /// There is no such file, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, GeographyError> {
        let bytes =
            std::fs::read(path).map_err(|source| GeographyError::Unread { path: path.into(), source })?;
        let damaged = |source| GeographyError::Damaged { path: path.into(), source };
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        reader.verify().map_err(damaged)?;
        Ok(Self { reader })
    }

    /// The database's type, as it names itself.
    pub fn source(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When the database was built, seconds since 1970.
    pub fn built_at_s(&self) -> u64 {
        self.reader.metadata().build_epoch
    }
}

/// What is read of a record; the rest is skipped.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Coded<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Coded<'a>>,
}

#[derive(Deserialize)]
struct Coded<'a> {
    iso_code: Option<&'a str>,
}

impl Geography for MaxMindGeography {
    fn locate(&self, address: IpAddr) -> Option<Geo> {
        // An IPv4 client on a dual-stack socket comes as `::ffff:a.b.c.d`, which databases do not have.
        let found = self.reader.lookup(address.to_canonical()).ok()?;
        let record: Record<'_> = found.decode().ok()??;
        let country = record.country?.iso_code.filter(|code| is_country(code))?;
        let region = record.subdivisions.first().and_then(|s| s.iso_code).filter(|code| is_subdivision(code));
        Some(Geo {
            country: country.to_owned(),
            region: region.map(str::to_owned),
            source: self.source().to_owned(),
            db_version: self.built_at_s(),
        })
    }
}

/// ISO 3166-1 alpha-2.
fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// ISO 3166-2, without the country: one to three letters or digits.
fn is_subdivision(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

impl fmt::Debug for MaxMindGeography {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaxMindGeography")
            .field("source", &self.source())
            .field("built_at_s", &self.built_at_s())
            .finish_non_exhaustive()
    }
}

/// [`Geography`] of an installation without a database: nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGeography;

impl Geography for NoGeography {
    fn locate(&self, _address: IpAddr) -> Option<Geo> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, fs, net::Ipv4Addr};

    use super::{
        super::mmdb::{Database, Value, map, text},
        *,
    };

    const BUILT_AT_S: u64 = 1_790_000_000;

    fn place(country: &str, regions: &[&str]) -> Value {
        let regions = regions.iter().map(|code| map([("iso_code", text(code))])).collect();
        map([
            ("continent", map([("code", text("EU"))])),
            ("country", map([("geoname_id", Value::U32(6)), ("iso_code", text(country))])),
            ("subdivisions", Value::Array(regions)),
        ])
    }

    fn sample(ip_version: u16) -> Database {
        let mut database = Database::new("Test-City", BUILT_AT_S, ip_version);
        database.add(Ipv4Addr::new(203, 0, 113, 0), 24, &place("DE", &["BE", "XX"]));
        database.add(Ipv4Addr::new(198, 51, 100, 0), 25, &place("FR", &[]));
        database.add(
            Ipv4Addr::new(198, 51, 100, 128),
            25,
            &map([("continent", map([("code", text("AN"))]))]),
        );
        database.add(Ipv4Addr::new(192, 0, 2, 0), 25, &place("Narnia", &[]));
        database.add(Ipv4Addr::new(192, 0, 2, 128), 25, &place("GB", &["<script>"]));
        database.add(Ipv4Addr::new(192, 88, 99, 0), 24, &text("not even a map"));
        database
    }

    /// A file of its own for each test, gone afterwards.
    struct File(PathBuf);

    impl File {
        fn with(name: &str, bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("matricula-{}-{name}.mmdb", std::process::id()));
            fs::write(&path, bytes).expect("the temporary folder can be written to");
            Self(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn open(name: &str, database: &Database) -> MaxMindGeography {
        let file = File::with(name, &database.to_bytes());
        MaxMindGeography::open(&file.0).expect("a whole database")
    }

    /// `expected` is the country and the region.
    fn check(geography: &MaxMindGeography, address: &str, expected: Option<(&str, Option<&str>)>) {
        let expected = expected.map(|(country, region)| Geo {
            country: country.to_owned(),
            region: region.map(str::to_owned),
            source: "Test-City".to_owned(),
            db_version: BUILT_AT_S,
        });
        assert_eq!(geography.locate(address.parse().expect("an address")), expected, "{address}");
    }

    #[test]
    fn addresses_have_a_country_and_the_first_region() {
        for (name, version) in [("four", 4), ("six", 6)] {
            let geography = open(name, &sample(version));
            check(&geography, "203.0.113.7", Some(("DE", Some("BE"))));
            check(&geography, "198.51.100.1", Some(("FR", None)));
            check(&geography, "203.0.114.1", None);
            check(&geography, "127.0.0.1", None);
            check(&geography, "::ffff:203.0.113.7", Some(("DE", Some("BE"))));
            check(&geography, "2001:db8::1", None);
        }
    }

    #[test]
    fn records_that_make_no_sense_place_nobody() {
        let geography = open("senseless", &sample(4));
        check(&geography, "198.51.100.200", None);
        check(&geography, "192.0.2.1", None);
        check(&geography, "192.0.2.200", Some(("GB", None)));
        check(&geography, "192.88.99.1", None);
    }

    #[test]
    fn the_database_says_what_it_is() {
        let geography = open("named", &sample(4));
        assert_eq!((geography.source(), geography.built_at_s()), ("Test-City", BUILT_AT_S));
    }

    #[test]
    fn a_missing_file_is_named() {
        let path = std::env::temp_dir().join("matricula-no-such-file.mmdb");
        let error = MaxMindGeography::open(&path).expect_err("it is not there");
        assert!(matches!(error, GeographyError::Unread { .. }), "{error:?}");
        assert!(error.to_string().contains("matricula-no-such-file.mmdb"));
        assert!(error.source().is_some());
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = sample(4).to_bytes();
        let mut cut_tree = whole.clone();
        cut_tree.drain(..64);
        // The first record of the tree, made to point past all data.
        let mut astray = whole.clone();
        astray[..3].copy_from_slice(&[0xff; 3]);
        for (name, bytes) in [
            ("empty", &[][..]),
            ("text", b"geo".as_slice()),
            ("cut-end", &whole[..whole.len() - 20]),
            ("cut-tree", &cut_tree),
            ("astray", &astray),
        ] {
            let file = File::with(name, bytes);
            let opened = MaxMindGeography::open(&file.0);
            assert!(matches!(opened, Err(GeographyError::Damaged { .. })), "{name}: {opened:?}");
        }
    }

    #[test]
    fn without_a_database_nothing_is_known() {
        assert_eq!(NoGeography.locate(IpAddr::from([203, 0, 113, 7])), None);
    }
}
