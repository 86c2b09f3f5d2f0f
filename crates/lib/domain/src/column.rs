//! Columns of the database that hold these types: names and paths as text, what has parts as JSON. Ids are UUIDs.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Type};

use crate::snapshot::{CommandKind, RevertScope};
use crate::{
    AttachmentKind, Calendar, DeliveryState, DestinationKind, DestinationName, EnvironmentName,
    EnvironmentRoles, Hold, HostName, MessageKind, PrincipalName, ReleaseName, Role, RolloutState, Standing,
    StepState, StorePath, Strategy, TokenLimits,
};

macro_rules! text_columns {
    ($($name:ty),+ $(,)?) => {$(
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <str as Type<Postgres>>::type_info()
            }

            fn compatible(info: &PgTypeInfo) -> bool {
                <str as Type<Postgres>>::compatible(info)
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                <&str as PgHasArrayType>::array_type_info()
            }

            fn array_compatible(info: &PgTypeInfo) -> bool {
                <&str as PgHasArrayType>::array_compatible(info)
            }
        }

        impl Decode<'_, Postgres> for $name {
            fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                Ok(<&str as Decode<Postgres>>::decode(value)?.parse()?)
            }
        }
    )+};
}

text_columns!(
    AttachmentKind,
    CommandKind,
    DeliveryState,
    DestinationKind,
    DestinationName,
    EnvironmentName,
    HostName,
    MessageKind,
    PrincipalName,
    ReleaseName,
    RevertScope,
    Role,
    RolloutState,
    Standing,
    StepState,
    StorePath,
);

macro_rules! json_columns {
    ($($name:ty),+ $(,)?) => {$(
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <Json<Self> as Type<Postgres>>::type_info()
            }

            fn compatible(info: &PgTypeInfo) -> bool {
                <Json<Self> as Type<Postgres>>::compatible(info)
            }
        }

        impl Decode<'_, Postgres> for $name {
            fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                Ok(Json::<Self>::decode(value)?.0)
            }
        }
    )+};
}

json_columns!(Calendar, EnvironmentRoles, Hold, Strategy, TokenLimits);
