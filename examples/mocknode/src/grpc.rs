//! gRPC: the two calls a supervisor makes, `CurrentPlan` and `GetLatestBlock`.

use cosmos_sdk_proto::cosmos::base::tendermint::v1beta1 as tendermint;
use cosmos_sdk_proto::cosmos::upgrade::v1beta1 as upgrade;
use tendermint::service_server::{Service, ServiceServer};
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};
use upgrade::query_server::{Query, QueryServer};

use crate::node::{SharedView, look};

/// The services, looking at `view`.
pub(crate) fn routes(view: SharedView, chain_id: String) -> Routes {
    let upgrades = QueryServer::new(Upgrades(view.clone()));
    let blocks = ServiceServer::new(Blocks { view, chain_id });
    Routes::new(upgrades).add_service(blocks)
}

fn absent() -> Status {
    Status::unimplemented("mocknode does not have this call")
}

struct Upgrades(SharedView);

#[async_trait]
impl Query for Upgrades {
    async fn current_plan(
        &self,
        _: Request<upgrade::QueryCurrentPlanRequest>,
    ) -> Result<Response<upgrade::QueryCurrentPlanResponse>, Status> {
        let plan = look(&self.0).app.plan().cloned();
        let plan = plan.map(|plan| upgrade::Plan {
            name: plan.name,
            height: i64::try_from(plan.height).unwrap_or(i64::MAX),
            info: plan.info,
            ..upgrade::Plan::default()
        });
        Ok(Response::new(upgrade::QueryCurrentPlanResponse { plan }))
    }

    async fn applied_plan(
        &self,
        request: Request<upgrade::QueryAppliedPlanRequest>,
    ) -> Result<Response<upgrade::QueryAppliedPlanResponse>, Status> {
        let name = request.into_inner().name;
        let view = look(&self.0);
        let done = view.app.done.iter().find(|done| done.name == name);
        let height = done.map_or(0, |done| i64::try_from(done.height).unwrap_or(i64::MAX));
        Ok(Response::new(upgrade::QueryAppliedPlanResponse { height }))
    }

    async fn upgraded_consensus_state(
        &self,
        _: Request<upgrade::QueryUpgradedConsensusStateRequest>,
    ) -> Result<Response<upgrade::QueryUpgradedConsensusStateResponse>, Status> {
        Err(absent())
    }

    async fn module_versions(
        &self,
        _: Request<upgrade::QueryModuleVersionsRequest>,
    ) -> Result<Response<upgrade::QueryModuleVersionsResponse>, Status> {
        Err(absent())
    }

    async fn authority(
        &self,
        _: Request<upgrade::QueryAuthorityRequest>,
    ) -> Result<Response<upgrade::QueryAuthorityResponse>, Status> {
        Err(absent())
    }
}

struct Blocks {
    view: SharedView,
    chain_id: String,
}

#[async_trait]
impl Service for Blocks {
    async fn get_latest_block(
        &self,
        _: Request<tendermint::GetLatestBlockRequest>,
    ) -> Result<Response<tendermint::GetLatestBlockResponse>, Status> {
        let height = i64::try_from(look(&self.view).tip.height).unwrap_or(i64::MAX);
        let header = cosmos_sdk_proto::tendermint::types::Header {
            chain_id: self.chain_id.clone(),
            height,
            ..Default::default()
        };
        let sdk_header = tendermint::Header {
            chain_id: self.chain_id.clone(),
            height,
            ..Default::default()
        };
        Ok(Response::new(tendermint::GetLatestBlockResponse {
            block_id: None,
            block: Some(cosmos_sdk_proto::tendermint::types::Block {
                header: Some(header),
                ..Default::default()
            }),
            sdk_block: Some(tendermint::Block {
                header: Some(sdk_header),
                ..Default::default()
            }),
        }))
    }

    async fn get_node_info(
        &self,
        _: Request<tendermint::GetNodeInfoRequest>,
    ) -> Result<Response<tendermint::GetNodeInfoResponse>, Status> {
        Err(absent())
    }

    async fn get_syncing(
        &self,
        _: Request<tendermint::GetSyncingRequest>,
    ) -> Result<Response<tendermint::GetSyncingResponse>, Status> {
        Err(absent())
    }

    async fn get_block_by_height(
        &self,
        _: Request<tendermint::GetBlockByHeightRequest>,
    ) -> Result<Response<tendermint::GetBlockByHeightResponse>, Status> {
        Err(absent())
    }

    async fn get_latest_validator_set(
        &self,
        _: Request<tendermint::GetLatestValidatorSetRequest>,
    ) -> Result<Response<tendermint::GetLatestValidatorSetResponse>, Status> {
        Err(absent())
    }

    async fn get_validator_set_by_height(
        &self,
        _: Request<tendermint::GetValidatorSetByHeightRequest>,
    ) -> Result<Response<tendermint::GetValidatorSetByHeightResponse>, Status> {
        Err(absent())
    }

    async fn abci_query(
        &self,
        _: Request<tendermint::AbciQueryRequest>,
    ) -> Result<Response<tendermint::AbciQueryResponse>, Status> {
        Err(absent())
    }
}
