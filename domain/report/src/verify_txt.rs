//! `VERIFY.txt`: how to check a bundle with other people's tools.

use crate::manifest::Manifest;

/// The text.
pub fn verify_txt(manifest: &Manifest) -> String {
    format!(
        "HOW TO CHECK THIS REPORT\n\
         ========================\n\
         \n\
         Report {report}, log {origin}, events {first} to before {end}, {rows} rows.\n\
         \n\
         Get from somewhere else than this bundle, and not from whoever gave it to you: the root certificate of the\n\
         report's signer (root.pem), that of the time-stamping authority (tsa-root.pem), and the policy with the keys\n\
         of the log and its witnesses (log-policy). Nothing in the bundle can vouch for itself.\n\
         \n\
         Unpack the bundle into an empty directory, work there, and keep the three files in the directory above it.\n\
         Steps 1 to 3 need bash, openssl 3 and coreutils.\n\
         \n\
         1. No file was changed, added or taken away. The first command must print OK for each file and nothing\n\
            else; the second must print nothing.\n\
         \n\
         \x20   sha256sum -c --strict SHA256SUMS\n\
         \x20   find . ! -type d ! -path ./SHA256SUMS ! -path ./SHA256SUMS.p7s ! -path ./SHA256SUMS.tsr |\n\
         \x20       sed 's|^\\./||' | LC_ALL=C sort | diff - <(cut -c 67- SHA256SUMS)\n\
         \n\
         2. When the report was signed, if SHA256SUMS.tsr is there. Note the time that the second command prints.\n\
         \n\
         \x20   openssl ts -verify -data SHA256SUMS.p7s -in SHA256SUMS.tsr -CAfile ../tsa-root.pem\n\
         \x20   openssl ts -reply -in SHA256SUMS.tsr -text\n\
         \n\
         3. Who signed it. N is the time of step 2 in seconds since 1970 (date -ud '...' +%s); leave -attime out when\n\
            there is no timestamp. Without the two options that begin with -no, certificates that this machine\n\
            trusts for other things would do as well.\n\
         \n\
         \x20   openssl cms -verify -cades -binary -inform DER -in SHA256SUMS.p7s -content SHA256SUMS \\\n\
         \x20       -CAfile ../root.pem -no-CApath -no-CAstore -attime N -signer ../signer.pem -out /dev/null\n\
         \x20   openssl x509 -in ../signer.pem -noout -subject\n\
         \n\
         4. That the rows are all there are. This takes arithmetic over every event, which matricula-verify does. Get\n\
            the program, too, from somewhere else.\n\
         \n\
         \x20   matricula-verify --root ../root.pem --tsa-root ../tsa-root.pem --policy ../log-policy \\\n\
         \x20       --lateness SECONDS .\n\
         \n\
         \x20  It recomputes the hash of each event in range/*.jsonl.gz (SHA-256 of a zero byte and the line), folds\n\
         \x20  them with range/boundary into the root that heads/checkpoint has signed (RFC 6962), asks the query of\n\
         \x20  manifest.json of each event again, and compares what it finds with report.csv, byte for byte. Anyone can\n\
         \x20  write such a program; the formats are public.\n\
         \n\
         \x20  SECONDS is how long after it happened an event may come into the log; who keeps the log may not say. It\n\
         \x20  exits with 0 when all of that is so and witnesses, or heads of the log that you have kept yourself\n\
         \x20  (--head), show that the events reach over the whole period; with 4 when only the latter is not shown.\n\
         \x20  --help tells how to say whose and which report it must be.\n",
        report = manifest.report_id,
        origin = manifest.origin,
        first = manifest.range.first,
        end = manifest.range.end,
        rows = manifest.rows,
    )
}
