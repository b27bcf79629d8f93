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

impl Activity {
    /// The activity of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activity| activity.as_str() == text)
    }

    /// What it is done for.
    pub const fn purposes(self) -> &'static [&'static str] {
        match self {
            Self::Membership => &["letting members in, and giving each the rights of their role"],
            Self::AccountLinks => {
                &["acting on platforms in the name of owners of accounts, within what they consented to"]
            }
            Self::Content => &["taking in files that are to be posted, and making them fit for platforms"],
            Self::Publishing => {
                &["planning posts, having them agreed to, posting them, and following what becomes of them"]
            }
            Self::Audit => {
                &["showing what was done, by whom and when, and that this was not changed afterwards"]
            }
            Self::Reports => &["giving auditors what they ask for of the log, in a form that proves itself"],
        }
    }

    /// Whose data it is.
    pub const fn data_subjects(self) -> &'static [&'static str] {
        match self {
            Self::Membership => &["members of the tenant, and who is invited to be one"],
            Self::AccountLinks => {
                &["owners of accounts on platforms", "members who link and look after them"]
            }
            Self::Content | Self::Publishing => &[
                "members who bring in, plan and agree",
                "owners of accounts",
                "whoever is in what is posted",
            ],
            Self::Audit | Self::Reports => &["members of the tenant", "owners of accounts on platforms"],
        }
    }

    /// What is done with it, for whom it is done.
    pub const fn processing(self) -> &'static str {
        match self {
            Self::Membership => "storing, looking up, comparing credentials, sending messages",
            Self::AccountLinks => "storing, renewing tokens, asking platforms",
            Self::Content => "storing, reading, converting, giving to platforms",
            Self::Publishing => "storing, giving to platforms, reading from platforms",
            Self::Audit => "logging under pseudonyms and commitments, storing, erasing",
            Self::Reports => "compiling, signing, handing out",
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
