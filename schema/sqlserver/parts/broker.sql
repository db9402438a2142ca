-- Service Broker as the graph worker listens to it. Switching it on needs the database for itself, so it is
-- tried without waiting: where others are connected it fails, and is run again at a quiet time. In a copy of a
-- database that lies on the same server it fails (error 9772): SET NEW_BROKER gives the copy an identity of
-- its own and ends the conversations that came with it, which is for its owner to decide.
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
