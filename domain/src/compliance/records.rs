//! What is done with data about persons: the activities, and what kinds of data there are in them. Every table and column is
//! marked with these words where it is kept.

/// Something that is done with data about persons; a record of processing describes each (GDPR article 30, PIPL article 56).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Activity {
    /// Members of a tenant are let in and given rights.
    Membership,
    /// Owners of accounts on platforms let a tenant act in their name.
    AccountLinks,
    /// Videos are taken in and made fit.
    Content,
    /// Posts are planned, agreed to, published and followed.
    Publishing,
    /// What happened is logged, and shown to be unchanged.
    Audit,
    /// Auditors are given reports of it.
    Reports,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Membership, Self::AccountLinks, Self::Content, Self::Publishing, Self::Audit, Self::Reports];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::AccountLinks => "account_links",
            Self::Content => "content",
            Self::Publishing => "publishing",
            Self::Audit => "audit",
            Self::Reports => "reports",
        }
    }
}

/// What a column says about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Names and addresses.
    Contact,
    /// What somebody proves with who they are.
    Credentials,
    /// From which device and where.
    DeviceAndPlace,
    /// Who somebody is on a platform, and what they allowed there.
    PlatformIdentity,
    /// What somebody did, and when.
    Conduct,
    /// Who is seen, heard or named in what is posted.
    Works,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Contact,
        Self::Credentials,
        Self::DeviceAndPlace,
        Self::PlatformIdentity,
        Self::Conduct,
        Self::Works,
    ];

    /// What a record of processing calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "names and e-mail addresses",
            Self::Credentials => "credentials, as hashes or sealed",
            Self::DeviceAndPlace => "device and coarse place, as keyed hashes and country",
            Self::PlatformIdentity => "identity, profile and consent on platforms",
            Self::Conduct => "what was done, and when",
            Self::Works => "videos and texts, and who is seen, heard or named in them",
        }
    }
}
