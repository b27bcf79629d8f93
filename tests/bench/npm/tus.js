// @tus/server over files: PORT and FOLDER come from the environment. As its manual sets it up, and nothing more: nobody is
// asked who they are, nothing is limited, nothing is synced to the disk and no digest is verified.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const server = new Server({ path: "/uploads", datastore: new FileStore({ directory: process.env.FOLDER }) });
server.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
