export class PollConnection extends HttpConnection {
}
import { HttpConnection } from "./http.js";
