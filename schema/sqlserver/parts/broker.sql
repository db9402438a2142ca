-- Service Broker for the graph worker. Enabling it needs exclusive use of the database and does not
-- wait: if others are connected it fails; repeat it at a quiet time. It also fails in a copy of a
-- database on the same server (error 9772). SET NEW_BROKER gives the copy an identity of its own
-- and ends the conversations that came with it; its owner must decide that.
IF NOT EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_broker_enabled = 1)
    ALTER DATABASE CURRENT SET ENABLE_BROKER WITH NO_WAIT;
GO
IF NOT EXISTS (SELECT 1 FROM sys.service_message_types WHERE name = N'//Hartonomous/Message')
    CREATE MESSAGE TYPE [//Hartonomous/Message] VALIDATION = NONE;
GO
IF NOT EXISTS (SELECT 1 FROM sys.service_contracts WHERE name = N'//Hartonomous/Contract')
    CREATE CONTRACT [//Hartonomous/Contract] ([//Hartonomous/Message] SENT BY INITIATOR);
GO
IF OBJECT_ID(N'dbo.HartonomousMessageQueue', N'SQ') IS NULL
    CREATE QUEUE dbo.HartonomousMessageQueue WITH STATUS = ON;
GO
IF NOT EXISTS (SELECT 1 FROM sys.services WHERE name = N'Hartonomous.BrokerInitiator')
    CREATE SERVICE [Hartonomous.BrokerInitiator] ON QUEUE dbo.HartonomousMessageQueue;
GO
IF NOT EXISTS (SELECT 1 FROM sys.services WHERE name = N'Hartonomous.BrokerTarget')
    CREATE SERVICE [Hartonomous.BrokerTarget] ON QUEUE dbo.HartonomousMessageQueue ([//Hartonomous/Contract]);
GO
