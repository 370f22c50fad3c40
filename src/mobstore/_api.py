"""The public names, each once; `import mobstore` loads this module at the first use of one."""

import sys

from mobstore.errors import (
    CasConflictError as CasConflictError,
    ClaimLostError as ClaimLostError,
    ClosedError as ClosedError,
    ConflictError as ConflictError,
    ConsumerMovedError as ConsumerMovedError,
    InternalError as InternalError,
    MobStoreError as MobStoreError,
    NotFoundError as NotFoundError,
    ReadFailedError as ReadFailedError,
    RefusedError as RefusedError,
    RunEndedError as RunEndedError,
    SerializationError as SerializationError,
    SpecRevisionConflictError as SpecRevisionConflictError,
    StaleCursorError as StaleCursorError,
    UsageError as UsageError,
    WriteFailedError as WriteFailedError,
)
from mobstore.model.claim import (
    Claim as Claim,
    RunClaim as RunClaim,
)
from mobstore.model.consumer import (
    Consumer as Consumer,
)
from mobstore.model.definition import (
    BackendConfig as BackendConfig,
    EventRouterConfig as EventRouterConfig,
    ExternalBackendConfig as ExternalBackendConfig,
    InlineSkill as InlineSkill,
    LimitsSpec as LimitsSpec,
    McpServerConfig as McpServerConfig,
    MobDefinition as MobDefinition,
    OrchestratorConfig as OrchestratorConfig,
    PathSkill as PathSkill,
    PolicyMode as PolicyMode,
    ProfileLookup as ProfileLookup,
    RoleWiringRule as RoleWiringRule,
    SessionCleanupPolicy as SessionCleanupPolicy,
    SkillSource as SkillSource,
    SpawnAuto as SpawnAuto,
    SpawnNone as SpawnNone,
    SpawnPolicyConfig as SpawnPolicyConfig,
    SupervisorSpec as SupervisorSpec,
    TopologyRule as TopologyRule,
    TopologySpec as TopologySpec,
    WiringRules as WiringRules,
)
from mobstore.model.event import (
    BackendPeerMember as BackendPeerMember,
    ExternalPeerUnwired as ExternalPeerUnwired,
    ExternalPeerWired as ExternalPeerWired,
    FlowCanceled as FlowCanceled,
    FlowCompleted as FlowCompleted,
    FlowFailed as FlowFailed,
    FlowStarted as FlowStarted,
    MeerkatKickoffUpdated as MeerkatKickoffUpdated,
    MeerkatRetired as MeerkatRetired,
    MeerkatSpawned as MeerkatSpawned,
    MemberRef as MemberRef,
    MobCompleted as MobCompleted,
    MobCreated as MobCreated,
    MobEvent as MobEvent,
    MobEventKind as MobEventKind,
    MobMemberKickoffPhase as MobMemberKickoffPhase,
    MobMemberKickoffSnapshot as MobMemberKickoffSnapshot,
    MobReset as MobReset,
    MobToolCallerProvenance as MobToolCallerProvenance,
    NewMobEvent as NewMobEvent,
    OperatorActionRecorded as OperatorActionRecorded,
    PeersUnwired as PeersUnwired,
    PeersWired as PeersWired,
    SessionMember as SessionMember,
    StepCompleted as StepCompleted,
    StepDispatched as StepDispatched,
    StepFailed as StepFailed,
    StepSkipped as StepSkipped,
    StepTargetCompleted as StepTargetCompleted,
    StepTargetFailed as StepTargetFailed,
    SupervisorEscalation as SupervisorEscalation,
    SystemTime as SystemTime,
    TaskCreated as TaskCreated,
    TaskStatus as TaskStatus,
    TaskUpdated as TaskUpdated,
    TopologyViolation as TopologyViolation,
    TrustedPeerSpec as TrustedPeerSpec,
    event_kind_from_json as event_kind_from_json,
)
from mobstore.model.event_types import (
    EVENT_TYPES as EVENT_TYPES,
    STRUCTURAL_KINDS as STRUCTURAL_KINDS,
    members_of as members_of,
)
from mobstore.model.flow import (
    BlobImageBlock as BlobImageBlock,
    CollectAll as CollectAll,
    CollectAny as CollectAny,
    CollectionPolicy as CollectionPolicy,
    CollectQuorum as CollectQuorum,
    ConditionAnd as ConditionAnd,
    ConditionEq as ConditionEq,
    ConditionExpr as ConditionExpr,
    ConditionGt as ConditionGt,
    ConditionIn as ConditionIn,
    ConditionLt as ConditionLt,
    ConditionNot as ConditionNot,
    ConditionOr as ConditionOr,
    ContentBlock as ContentBlock,
    ContentInput as ContentInput,
    DependencyMode as DependencyMode,
    DispatchMode as DispatchMode,
    FlowNodeSpec as FlowNodeSpec,
    FlowSpec as FlowSpec,
    FlowStepSpec as FlowStepSpec,
    FrameSpec as FrameSpec,
    FrameStepSpec as FrameStepSpec,
    ImageBlock as ImageBlock,
    InlineImageBlock as InlineImageBlock,
    RepeatUntilSpec as RepeatUntilSpec,
    StepOutputFormat as StepOutputFormat,
    TextBlock as TextBlock,
    VideoBlock as VideoBlock,
)
from mobstore.model.ids import (
    BlobId as BlobId,
    BranchId as BranchId,
    FlowId as FlowId,
    FlowNodeId as FlowNodeId,
    FrameId as FrameId,
    LoopId as LoopId,
    LoopInstanceId as LoopInstanceId,
    MeerkatId as MeerkatId,
    MobId as MobId,
    OpaquePrincipalToken as OpaquePrincipalToken,
    ProfileName as ProfileName,
    RunId as RunId,
    SessionId as SessionId,
    StepId as StepId,
    TaskId as TaskId,
)
from mobstore.model.json import (
    JsonInput as JsonInput,
)
from mobstore.model.kernel import (
    KernelState as KernelState,
)
from mobstore.model.kernel_values import (
    KernelInput as KernelInput,
    KernelMap as KernelMap,
    KernelSet as KernelSet,
    KernelValue as KernelValue,
    NamedVariant as NamedVariant,
)
from mobstore.model.other_event import (
    OtherEvent as OtherEvent,
)
from mobstore.model.overview import (
    ConsumerOverview as ConsumerOverview,
    MobOverview as MobOverview,
    Overview as Overview,
)
from mobstore.model.profile import (
    MobBackendKind as MobBackendKind,
    MobRuntimeMode as MobRuntimeMode,
    Profile as Profile,
    ProfileBinding as ProfileBinding,
    RealmProfileRef as RealmProfileRef,
    StoredRealmProfile as StoredRealmProfile,
    ToolConfig as ToolConfig,
)
from mobstore.model.record import (
    Record as Record,
)
from mobstore.model.run import (
    FailureLedgerEntry as FailureLedgerEntry,
    FlowContext as FlowContext,
    FlowRunConfig as FlowRunConfig,
    FrameSnapshot as FrameSnapshot,
    LoopContextHistory as LoopContextHistory,
    LoopIterationLedgerEntry as LoopIterationLedgerEntry,
    LoopSnapshot as LoopSnapshot,
    MobRun as MobRun,
    MobRunStatus as MobRunStatus,
    RunHeader as RunHeader,
    StepLedgerEntry as StepLedgerEntry,
    StepRunStatus as StepRunStatus,
    TerminalStatus as TerminalStatus,
    is_terminal as is_terminal,
    topological_steps as topological_steps,
)
from mobstore.model.timestamp import (
    Timestamp as Timestamp,
)
from mobstore.notebook.tabular import (
    Listing as Listing,
    to_dicts as to_dicts,
)
from mobstore.scripts.atomic import (
    Work as Work,
)
from mobstore.scripts.transaction import (
    Durability as Durability,
    Engine as Engine,
    Isolation as Isolation,
)
from mobstore.stores.base import (
    Clock as Clock,
)
from mobstore.stores.claims import (
    ClaimStore as ClaimStore,
    run_claim_name as run_claim_name,
)
from mobstore.stores.events import MobEventStore as MobEventStore
from mobstore.stores.following import (
    EventBatch as EventBatch,
)
from mobstore.stores.indexeddb import (
    IndexedDbMobEventStore as IndexedDbMobEventStore,
    IndexedDbMobRunStore as IndexedDbMobRunStore,
    IndexedDbMobSpecStore as IndexedDbMobSpecStore,
    IndexedDbMobStores as IndexedDbMobStores,
    IndexedDbRealmProfileStore as IndexedDbRealmProfileStore,
)
from mobstore.stores.memory import (
    InMemoryMobEventStore as InMemoryMobEventStore,
    InMemoryMobRunStore as InMemoryMobRunStore,
    InMemoryMobSpecStore as InMemoryMobSpecStore,
    InMemoryRealmProfileStore as InMemoryRealmProfileStore,
)
from mobstore.stores.mob_stores import (
    MobStores as MobStores,
    Opening as Opening,
    Stores as Stores,
)
from mobstore.stores.opening import (
    open_stores as open_stores,
)
from mobstore.stores.postgres import (
    PostgresMobEventStore as PostgresMobEventStore,
    PostgresMobRunStore as PostgresMobRunStore,
    PostgresMobSpecStore as PostgresMobSpecStore,
    PostgresMobStores as PostgresMobStores,
    PostgresRealmProfileStore as PostgresRealmProfileStore,
)
from mobstore.stores.realm_profiles import (
    RealmProfileStore as RealmProfileStore,
)
from mobstore.stores.run_reader import (
    MobRunReader as MobRunReader,
    RunColumn as RunColumn,
)
from mobstore.stores.runs import (
    MobRunStore as MobRunStore,
)
from mobstore.stores.specs import (
    MobSpecStore as MobSpecStore,
)
from mobstore.stores.subscription import (
    OnUnreadable as OnUnreadable,
    Subscription as Subscription,
)

if sys.platform != "emscripten":  # as in the reference, which has no SQLite on wasm32
    from mobstore.stores.sqlite import (
        SqliteMobStores as SqliteMobStores,
        SqliteRealmProfileStore as SqliteRealmProfileStore,
    )
