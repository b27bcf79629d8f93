//! Tenant keys can be retired: no data key is put under one any more, and it does not come back into use.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The lock keeps a key from being retired while somebody is about to put something under it.
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(
            manager,
            "ALTER TABLE compliance.tenant_keys ADD COLUMN retired_at timestamptz;
             GRANT UPDATE (retired_at) ON compliance.tenant_keys TO matricula_app_rw;
             CREATE FUNCTION compliance.refuse_retired_key() RETURNS trigger
             LANGUAGE plpgsql SET search_path = pg_catalog AS $$
             BEGIN
                 PERFORM FROM compliance.tenant_keys
                 WHERE tenant_id = NEW.tenant_id AND version = NEW.kek_version AND retired_at IS NULL
                 FOR SHARE;
                 IF NOT FOUND THEN
                     RAISE EXCEPTION 'there is no tenant key % in use', NEW.kek_version
                         USING ERRCODE = 'check_violation';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER under_a_key_in_use BEFORE INSERT OR UPDATE ON compliance.data_keys
             FOR EACH ROW EXECUTE FUNCTION compliance.refuse_retired_key();
             CREATE FUNCTION compliance.refuse_return_of_key() RETURNS trigger
             LANGUAGE plpgsql SET search_path = pg_catalog AS $$
             BEGIN
                 RAISE EXCEPTION 'tenant key % is retired', OLD.version USING ERRCODE = 'check_violation';
             END $$;
             CREATE FUNCTION compliance.refuse_retiring_needed_key() RETURNS trigger
             LANGUAGE plpgsql SET search_path = pg_catalog AS $$
             BEGIN
                 IF EXISTS (SELECT FROM compliance.data_keys AS d
                            WHERE d.tenant_id = OLD.tenant_id AND d.kek_version = OLD.version)
                 OR NOT EXISTS (SELECT FROM compliance.tenant_keys AS k
                                WHERE k.tenant_id = OLD.tenant_id AND k.version > OLD.version) THEN
                     RAISE EXCEPTION 'tenant key % is needed', OLD.version USING ERRCODE = 'check_violation';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER needed_is_not_retired BEFORE UPDATE ON compliance.tenant_keys
             FOR EACH ROW WHEN (OLD.retired_at IS NULL AND NEW.retired_at IS NOT NULL)
             EXECUTE FUNCTION compliance.refuse_retiring_needed_key();
             CREATE TRIGGER retired_for_good BEFORE UPDATE ON compliance.tenant_keys
             FOR EACH ROW WHEN (OLD.retired_at IS NOT NULL)
             EXECUTE FUNCTION compliance.refuse_return_of_key();
             REVOKE ALL ON FUNCTION compliance.refuse_retired_key(), compliance.refuse_return_of_key(),
                 compliance.refuse_retiring_needed_key() FROM PUBLIC;",
        )
        .await
    }
}
