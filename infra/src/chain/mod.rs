//! A chain of blocks that vouches for digests: any that speaks Ethereum's JSON-RPC, in transactions after EIP-1559.
//!
//! A digest is the data of a transaction that its sender sends to itself, with no value. It is signed before anything leaves, and
//! that one transaction is sent however often it takes; a chain takes it once, as it has a number (nonce). It is settled when
//! enough blocks stand on the one that has it.
//!
//! Invariants
//! - Nothing but the digest leaves, beside what any transaction has.
//! - A node that is of another chain than the one configured is given nothing.
//! - What was prepared is given up when it is nowhere and enough blocks stand on one by which its number was used: what two nodes
//!   say at one moment may differ.
//! - No fault quotes what a node's address is: it may hold a key of whoever runs it.
//!
//! Absent on purpose: outbidding oneself. The fee offered is twice the block's, so that a transaction goes through when fees fall
//! again at the latest; a node that forgets it is sent it again.

use std::{fmt, path::Path, time::Duration};

use alloy_consensus::Transaction as _;
use alloy_network::{
    Ethereum, EthereumWallet, Network, NetworkTransactionBuilder as _, TransactionBuilder as _,
    eip2718::{Decodable2718 as _, Encodable2718 as _},
};
use alloy_provider::{
    Provider as _, RootProvider,
    transport::{RpcError, TransportError, TransportErrorKind},
};
use alloy_rpc_client::RpcClient;
use alloy_signer_local::PrivateKeySigner;
use alloy_transport_http::Http;
use async_trait::async_trait;
use chrono::{TimeZone as _, Utc};
use domain::{
    compliance::{
        log::merkle::Hash,
        ports::{Attester, Progress, Settled},
    },
    kernel::fault::PortError,
};
use reqwest::{Client, redirect};
use serde_json::json;
use url::Url;

use crate::local_keyring::read_seed;

const PORT: &str = "chain";

/// Most of a node's own words that are told, in characters.
const TOLD_MAX: usize = 200;

/// Most that 32 bytes may cost.
const GAS_MAX: u64 = 100_000;

type Signed = <Ethereum as Network>::TxEnvelope;

/// What a chain is reached by.
#[derive(Clone)]
pub struct ChainSettings {
    /// Where its node answers.
    pub url: Url,
    /// Which chain it is to be (EIP-155).
    pub chain_id: u64,
    /// How many blocks are to stand on the one that has a digest.
    pub confirmations: u64,
    /// Most that is offered for a unit of gas, in 10^9 wei.
    pub fee_max_gwei: u32,
    /// Longest an answer may take.
    pub timeout: Duration,
}

/// Without the address.
impl fmt::Debug for ChainSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain_id, confirmations, fee_max_gwei, timeout, .. } = self;
        write!(f, "ChainSettings({chain_id}, {confirmations}, {fee_max_gwei}, {timeout:?}, ..)")
    }
}

/// A chain, and the key that pays on it.
pub struct EvmChain {
    provider: RootProvider<Ethereum>,
    wallet: EthereumWallet,
    name: String,
    chain_id: u64,
    confirmations: u64,
    fee_max_wei: u128,
}

fn signer(key: &Path) -> Result<PrivateKeySigner, PortError> {
    let seed = read_seed(key)?;
    PrivateKeySigner::from_slice(seed.as_slice())
        .map_err(|_| PortError::lasting(PORT, "the key is none on secp256k1"))
}

/// The account that the key in a file pays from, as chains write it.
///
/// # Errors
/// There is no such file, others can read it, or it holds no key.
pub fn account_of(key: &Path) -> Result<String, PortError> {
    Ok(signer(key)?.address().to_string())
}

impl EvmChain {
    /// A chain on which the key in that file pays (32 bytes, in the keyring's form). Opens no connection yet.
    ///
    /// # Errors
    /// The key is none, or this machine trusts no certificates.
    pub fn new(settings: ChainSettings, key: &Path) -> Result<Self, PortError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(settings.timeout)
            .user_agent(concat!("matricula/", env!("CARGO_PKG_VERSION")));
        let client = client.build().map_err(|e| PortError::lasting(PORT, e))?;
        Ok(Self {
            provider: RootProvider::new(RpcClient::new(Http::with_client(client, settings.url), false)),
            wallet: signer(key)?.into(),
            name: format!("evm-{}", settings.chain_id),
            chain_id: settings.chain_id,
            confirmations: settings.confirmations.max(1),
            fee_max_wei: u128::from(settings.fee_max_gwei) * 1_000_000_000,
        })
    }

    async fn check_chain(&self) -> Result<(), PortError> {
        let found = self.provider.get_chain_id().await.map_err(fault)?;
        if found == self.chain_id {
            return Ok(());
        }
        let problem = format!("the node is of chain {found}, and {} is configured", self.chain_id);
        Err(PortError::lasting(PORT, problem))
    }

    /// Where a transaction is on the chain; `None` while it is nowhere.
    async fn settled(&self, transaction: &Signed) -> Result<Option<Progress>, PortError> {
        let hash = *transaction.tx_hash();
        let receipt = self.provider.get_transaction_receipt(hash).await.map_err(fault)?;
        let Some((number, block_hash)) =
            receipt.and_then(|receipt| receipt.block_number.zip(receipt.block_hash))
        else {
            return Ok(None);
        };
        let newest = self.provider.get_block_number().await.map_err(fault)?;
        let block = self.provider.get_block_by_number(number.into()).await.map_err(fault)?;
        // A block that is not the chain's any more may come back, or its transactions come into another.
        let Some(block) = block.filter(|block| {
            block.header.hash == block_hash && newest >= number.saturating_add(self.confirmations)
        }) else {
            return Ok(Some(Progress::Pending));
        };
        let at = i64::try_from(block.header.timestamp).ok().and_then(|at| Utc.timestamp_opt(at, 0).single());
        let at = at.ok_or_else(|| PortError::lasting(PORT, "the block's time is none"))?;
        let proof = json!({
            "chainId": self.chain_id,
            "transaction": hash,
            "block": number,
            "blockHash": block_hash,
        });
        Ok(Some(Progress::Settled(Settled { proof: proof.to_string(), at })))
    }

    /// Whether it can't come on the chain any more: under enough blocks its number was used by another, or is ahead of what the
    /// account has used, which a chain that went back by that much leaves.
    async fn is_lost(&self, transaction: &Signed) -> Result<bool, PortError> {
        if self.used(transaction, None).await? < transaction.nonce() {
            return Ok(true);
        }
        let newest = self.provider.get_block_number().await.map_err(fault)?;
        let under = newest.saturating_sub(self.confirmations);
        if self.used(transaction, Some(under)).await? <= transaction.nonce() {
            return Ok(false);
        }
        // A node may have the block and no receipts, or be behind the one that was asked just now.
        let known = self.provider.get_transaction_by_hash(*transaction.tx_hash()).await.map_err(fault)?;
        Ok(known.is_none() && self.settled(transaction).await?.is_none())
    }

    /// How many numbers its sender, who is whom it is sent to, has used by a block, or by the newest.
    async fn used(&self, transaction: &Signed, by: Option<u64>) -> Result<u64, PortError> {
        let account =
            transaction.to().ok_or_else(|| PortError::lasting(PORT, "a transaction is to nobody"))?;
        let count = self.provider.get_transaction_count(account);
        let count = if let Some(block) = by { count.block_id(block.into()) } else { count };
        count.await.map_err(fault)
    }
}

/// What a node says is told, where it says anything; how it is reached is not.
fn fault(error: TransportError) -> PortError {
    match error {
        RpcError::ErrorResp(said) => {
            // A node that stands before others may name them.
            let words = said.message.split_whitespace().filter(|word| !word.contains("://"));
            let words: String = words.collect::<Vec<_>>().join(" ").chars().take(TOLD_MAX).collect();
            PortError::passing(PORT, format!("the node says {}: {words}", said.code))
        }
        RpcError::Transport(
            TransportErrorKind::HttpError(error) | TransportErrorKind::HttpErrorWithRetryAfter { error, .. },
        ) => PortError::passing(PORT, format!("the node answers {}", error.status)),
        RpcError::DeserError { .. } | RpcError::NullResp => {
            PortError::passing(PORT, "the node's answer can't be read")
        }
        RpcError::UnsupportedFeature(_)
        | RpcError::LocalUsageError(_)
        | RpcError::SerError(_)
        | RpcError::Transport(_) => PortError::passing(PORT, "the node does not answer"),
    }
}

#[async_trait]
impl Attester for EvmChain {
    fn name(&self) -> &str {
        &self.name
    }

    async fn prepare(&self, digest: Hash) -> Result<Vec<u8>, PortError> {
        self.check_chain().await?;
        let account = self.wallet.default_signer().address();
        let fees = self.provider.estimate_eip1559_fees().await.map_err(fault)?;
        if fees.max_fee_per_gas > self.fee_max_wei {
            return Err(PortError::passing(PORT, "the chain's fees are above notary.chain_fee_max_gwei"));
        }
        // By blocks alone: what waits at some node under the number is replaced.
        let number = self.provider.get_transaction_count(account).await.map_err(fault)?;
        let request = <Ethereum as Network>::TransactionRequest::default()
            .with_from(account)
            .with_to(account)
            .with_input(digest.0.to_vec())
            .with_nonce(number)
            .with_chain_id(self.chain_id)
            .with_max_fee_per_gas(fees.max_fee_per_gas)
            .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
        let gas = self.provider.estimate_gas(request.clone()).await.map_err(fault)?;
        if gas > GAS_MAX {
            return Err(PortError::passing(PORT, format!("the node asks for {gas} gas for 32 bytes")));
        }
        let signed = request.with_gas_limit(gas).build(&self.wallet).await;
        Ok(signed.map_err(|_| PortError::lasting(PORT, "a transaction can't be signed"))?.encoded_2718())
    }

    async fn advance(&self, digest: Hash, mut prepared: &[u8]) -> Result<Progress, PortError> {
        let raw = prepared;
        let transaction = Signed::decode_2718(&mut prepared)
            .ok()
            .filter(|transaction| transaction.input().as_ref() == digest.0);
        let transaction = transaction
            .ok_or_else(|| PortError::lasting(PORT, "what was prepared is no transaction of the digest"))?;
        self.check_chain().await?;
        if let Some(progress) = self.settled(&transaction).await? {
            return Ok(progress);
        }
        if self.is_lost(&transaction).await? {
            return Ok(Progress::Lost);
        }
        let Err(refused) = self.provider.send_raw_transaction(raw).await else {
            return Ok(Progress::Pending);
        };
        if !matches!(refused, RpcError::ErrorResp(_)) {
            return Err(fault(refused));
        }
        // It is known there already, or is in a block since a moment ago; or its number is used in one that others are to stand
        // on yet.
        let used = self.used(&transaction, None).await?;
        let known = self.provider.get_transaction_by_hash(*transaction.tx_hash()).await.map_err(fault)?;
        if known.is_some() || used > transaction.nonce() {
            Ok(Progress::Pending)
        } else {
            Err(fault(refused))
        }
    }
}
