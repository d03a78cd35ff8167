//! What goes wrong with a request, in bytomd's words.
//!
//! bytomd has two shapes of errors. What a handler refuses is told with HTTP status 200, under a code; what never reaches a handler
//! (a body that cannot be read, an unknown path, a missing token) with a status of its own and other keys. Both are facts that
//! clients rely on.

use std::error::Error;

use axum::http::StatusCode;
use baton_chain::{ChainError, Refusal, trace::TraceError};
use baton_ledger::{address::AddressError, vm};
use baton_wallet::{
    WalletError, build::BuildError, keystore::KeystoreError, mnemonic::MnemonicError,
    sign::SignError,
};
use serde::Serialize;

use crate::{feeds::FeedError, tokens::TokenError};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A handler refused; told with status 200.
    Refused(Refused),
    /// The request did not reach a handler; told with a status of its own.
    Transport(Transport),
}

/// What a handler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Such as `BTM709`.
    pub(crate) code: &'static str,
    /// What it is about.
    pub(crate) detail: String,
}

/// What is said before any handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transport {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// Such as `BTM002`.
    pub(crate) code: &'static str,
    /// What it is about; left out if empty.
    pub(crate) detail: String,
    /// Whether the same request may succeed later.
    pub(crate) temporary: bool,
}

impl Fault {
    /// An error without a code of its own: all there is to say is in the detail.
    pub(crate) fn plain(detail: impl Into<String>) -> Self {
        Self::refused(NO_CODE, detail)
    }

    /// An error with a code.
    pub(crate) fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused(Refused {
            code,
            detail: detail.into(),
        })
    }

    /// The body is not what the endpoint takes.
    pub(crate) fn body(reason: impl std::fmt::Display) -> Self {
        Self::Transport(Transport {
            status: StatusCode::BAD_REQUEST,
            code: "BTM002",
            detail: format!(
                "{reason}: check request parameters for missing and/or incorrect values"
            ),
            temporary: false,
        })
    }

    /// Another error before any handler.
    pub(crate) fn transport(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::Transport(Transport {
            status,
            code,
            detail: detail.into(),
            temporary: matches!(code, "BTM000" | "BTM001"),
        })
    }

    /// There is no such path.
    pub(crate) fn not_found() -> Self {
        Self::transport(StatusCode::INTERNAL_SERVER_ERROR, "BTM000", "not Found")
    }

    /// The namespace is not open yet, or not any more.
    pub(crate) fn starting() -> Self {
        let detail = "the node is starting or stopping: try again";
        Self::transport(StatusCode::SERVICE_UNAVAILABLE, "BTM000", detail)
    }

    /// The request reached a process that has handed over meanwhile.
    pub(crate) fn moved() -> Self {
        let detail = "another process serves now: try again";
        Self::transport(StatusCode::SERVICE_UNAVAILABLE, "BTM000", detail)
    }

    /// The same, with what was being done before it.
    pub(crate) fn context(mut self, doing: &str) -> Self {
        let (Self::Refused(Refused { detail, .. }) | Self::Transport(Transport { detail, .. })) =
            &mut self;
        *detail = format!("{doing}: {detail}");
        self
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) => StatusCode::OK,
            Self::Transport(transport) => transport.status,
        }
    }

    /// The body of the answer.
    pub(crate) fn body_bytes(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct RefusedBody<'f> {
            status: &'static str,
            code: &'static str,
            msg: &'static str,
            #[serde(skip_serializing_if = "str::is_empty")]
            error_detail: &'f str,
        }
        #[derive(Serialize)]
        struct TransportBody<'f> {
            code: &'static str,
            msg: &'static str,
            status: &'static str,
            #[serde(skip_serializing_if = "str::is_empty")]
            detail: &'f str,
            temporary: bool,
        }
        let mut body = Vec::new();
        match self {
            Self::Refused(refused) => crate::go_json::write(
                &mut body,
                &RefusedBody {
                    status: "fail",
                    code: refused.code,
                    msg: message(refused.code),
                    error_detail: &refused.detail,
                },
            ),
            Self::Transport(transport) => crate::go_json::write(
                &mut body,
                &TransportBody {
                    code: transport.code,
                    msg: message(transport.code),
                    status: "fail",
                    detail: &transport.detail,
                    temporary: transport.temporary,
                },
            ),
        }
        body.push(b'\n');
        body
    }
}

/// The codes of errors and what they mean (bytomd v2, `api/errors.go`).
const CODES: [(&str, &str); 63] = [
    (NO_CODE, "Bytom API Error"),
    ("BTM001", "Request timed out"),
    ("BTM002", "Invalid request body"),
    (
        "BTM200",
        "Quorum must be greater than or equal to 1, and must be less than or equal to the length of xpubs",
    ),
    ("BTM201", "Invalid xpub format"),
    ("BTM202", "At least one xpub is required"),
    (
        "BTM203",
        "Root XPubs cannot contain the same key more than once",
    ),
    ("BTM302", "Contract is duplicated"),
    ("BTM303", "Contract not found"),
    ("BTM700", "Funds of account are insufficient"),
    ("BTM701", "Available funds of account are immature"),
    ("BTM702", "Available UTXOs of account have been reserved"),
    ("BTM703", "UTXO with given hash not found"),
    ("BTM704", "Invalid action type"),
    ("BTM705", "Invalid action object"),
    ("BTM706", "Invalid action construction"),
    ("BTM707", "One or more fields are missing"),
    ("BTM708", "Invalid asset amount"),
    ("BTM709", "Account not found"),
    ("BTM710", "Asset not found"),
    ("BTM711", "Invalid contract argument type"),
    ("BTM712", "Transaction input UTXO not found"),
    ("BTM713", "Transaction fee exceeded max limit"),
    ("BTM714", "Transaction has no gas input"),
    ("BTM730", "Invalid transaction version"),
    ("BTM731", "Invalid transaction size"),
    ("BTM732", "Invalid transaction time range"),
    ("BTM733", "Not standard transaction"),
    ("BTM734", "Invalid coinbase transaction"),
    ("BTM735", "Invalid coinbase assetID"),
    ("BTM736", "Invalid coinbase arbitrary size"),
    ("BTM737", "No results in the transaction"),
    ("BTM738", "Mismatched assetID"),
    ("BTM739", "Mismatched value source/dest position"),
    ("BTM740", "Mismatched reference"),
    ("BTM741", "Mismatched value"),
    ("BTM742", "Missing required field"),
    ("BTM743", "No source for value"),
    ("BTM744", "Arithmetic overflow/underflow"),
    ("BTM745", "Invalid source or destination position"),
    ("BTM746", "Unbalanced asset amount between input and output"),
    ("BTM747", "Gas credit has been spent"),
    ("BTM748", "Gas usage calculate got a math error"),
    ("BTM760", "Alt stack underflow"),
    ("BTM761", "Bad value"),
    ("BTM762", "Wrong context"),
    ("BTM763", "Data stack underflow"),
    ("BTM764", "Disallowed opcode"),
    ("BTM765", "Division by zero"),
    ("BTM766", "False result for executing VM"),
    ("BTM767", "Program size exceeds max int32"),
    ("BTM768", "Arithmetic range error"),
    ("BTM769", "RETURN executed"),
    (
        "BTM770",
        "Run limit exceeded because the BTM Fee is insufficient",
    ),
    ("BTM771", "Unexpected end of program"),
    ("BTM772", "Unrecognized token"),
    ("BTM773", "Unexpected error"),
    (
        "BTM774",
        "Unsupported VM because the version of VM is mismatched",
    ),
    ("BTM775", "VERIFY failed"),
    ("BTM800", "Key Alias already exists"),
    ("BTM801", "Key not found or wrong password"),
    ("BTM802", "Could not decrypt key with given passphrase"),
    ("BTM860", "Request could not be authenticated"),
];

/// The code of what has none of its own.
const NO_CODE: &str = "BTM000";

/// What a code means.
fn message(code: &str) -> &'static str {
    let known = CODES.iter().find(|(known, _)| *known == code);
    known.map_or(CODES[0].1, |(_, message)| message)
}

/// The code with this number.
fn coded(number: u16) -> &'static str {
    let is_it = |code: &str| code[3..].parse() == Ok(number);
    let known = CODES.iter().find(|(known, _)| is_it(known));
    known.map_or(NO_CODE, |(code, _)| code)
}

/// An error with all its causes; some name their causes themselves.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = error.source();
    }
    text
}

impl From<WalletError> for Fault {
    fn from(error: WalletError) -> Self {
        Self::refused(error.code(), of_wallet(&error))
    }
}

/// bytomd's own words where it has some for the same thing, since clients know them.
fn of_wallet(error: &WalletError) -> String {
    match error {
        WalletError::NoAccount(_) => "Failed to find account".to_owned(),
        WalletError::DuplicateAlias {
            what: "account", ..
        } => "Duplicate account alias".to_owned(),
        WalletError::DuplicateAlias { .. } => "duplicate asset alias".to_owned(),
        WalletError::DuplicateContract(_) => "contract is duplicated".to_owned(),
        WalletError::NoContract(_) => "contract not found".to_owned(),
        WalletError::Address(error) => of_address(error),
        error => told(error),
    }
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        let code = error.code();
        let kind = match code {
            "BTM704" => ": bad action type",
            "BTM705" => ": bad action object",
            "BTM706" => ": bad action construction",
            _ => "",
        };
        Self::refused(code, format!("{}{kind}", told(&error)))
    }
}

impl From<SignError> for Fault {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Keystore(error) => error.into(),
            error => Self::plain(told(&error)),
        }
    }
}

impl From<KeystoreError> for Fault {
    fn from(error: KeystoreError) -> Self {
        // who asks over the network need not know where files are
        let detail = match &error {
            KeystoreError::DuplicateAlias { .. } => "duplicate key alias".to_owned(),
            KeystoreError::WrongPassword(_) => {
                "could not decrypt key with given passphrase".to_owned()
            }
            KeystoreError::NotFound(_) | KeystoreError::Locked { .. } => {
                "key not found or wrong password".to_owned()
            }
            error => told(error),
        };
        Self::refused(error.code(), detail)
    }
}

impl From<MnemonicError> for Fault {
    fn from(error: MnemonicError) -> Self {
        Self::plain(error.to_string())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::refused(coded(refusal.code()), told(&refusal))
    }
}

impl From<ChainError> for Fault {
    fn from(error: ChainError) -> Self {
        tracing::error!(error = &error as &dyn Error, "the chain could not be read");
        Self::plain(told(&error))
    }
}

impl From<TraceError> for Fault {
    fn from(error: TraceError) -> Self {
        let before = match &error {
            // bytomd says no more
            TraceError::Transaction { .. } => "given tx hash and block hash is mismatch: ",
            _ => "",
        };
        Self::plain(format!("{before}{}", told(&error)))
    }
}

impl From<vm::Error> for Fault {
    fn from(error: vm::Error) -> Self {
        Self::refused(coded(error.code()), error.to_string())
    }
}

impl From<AddressError> for Fault {
    fn from(error: AddressError) -> Self {
        Self::plain(of_address(&error))
    }
}

/// bytomd says the first three words.
fn of_address(error: &AddressError) -> String {
    format!("unknown address type: {}", told(error))
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        Self::plain(told(&error))
    }
}

impl From<FeedError> for Fault {
    fn from(error: FeedError) -> Self {
        Self::plain(told(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_belong_together() {
        for (code, _) in CODES {
            assert_eq!(coded(code[3..].parse().unwrap()), code);
        }
        assert_eq!(coded(999), NO_CODE);
        assert_eq!(message("BTM709"), "Account not found");
        assert_eq!(message("?"), "Bytom API Error");
    }

    /// Both are answers of a bytomd v2.0.6.
    #[test]
    fn both_shapes_are_bytoms() {
        let text = |fault: Fault| String::from_utf8(fault.body_bytes()).unwrap();
        assert_eq!(
            text(WalletError::NoAccount("x".to_owned()).into()),
            "{\"status\":\"fail\",\"code\":\"BTM709\",\"msg\":\"Account not found\",\"error_detail\":\"Failed to find account\"}\n"
        );
        assert_eq!(
            text(Fault::not_found()),
            "{\"code\":\"BTM000\",\"msg\":\"Bytom API Error\",\"status\":\"fail\",\"detail\":\"not Found\",\"temporary\":true}\n"
        );
    }
}
