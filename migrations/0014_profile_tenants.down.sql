-- Only the default tenant's apps stay: names are unique again.
DELETE FROM profile_store.app WHERE tenant <> 'anonymous';
ALTER TABLE profile_store.app DROP CONSTRAINT IF EXISTS profile_store_app_tenant_name_key;
ALTER TABLE profile_store.app DROP COLUMN IF EXISTS tenant;
ALTER TABLE profile_store.app ADD CONSTRAINT profile_store_app_name_key UNIQUE (name);
