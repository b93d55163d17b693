// Overload says so: TorchServe 0.12 tells everybody to add workers through an API that they cannot reach. This class
// stands before its own of the same name on the class path.
package org.pytorch.serve.http;

public class ServiceUnavailableException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public ServiceUnavailableException(String reason) {
        super("the server is overloaded: its queue is full, or no worker runs at this moment; try again in a second");
    }
}
