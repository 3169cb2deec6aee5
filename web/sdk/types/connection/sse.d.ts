export class SseConnection extends HttpConnection {
    #private;
}
import { HttpConnection } from "./http.js";
