// Forms that cannot be read are the sender's fault: 400. TorchServe 0.12 answers them 500, with Java's words, and what
// curl --data-binary sends calls itself a form. This class stands before Netty's of the same name on the class path.
package io.netty.handler.codec.http.multipart;

import io.netty.handler.codec.DecoderException;
import org.pytorch.serve.http.BadRequestException;

class HttpPostRequestDecoder$ErrorDataDecoderException extends DecoderException {
    private static final long serialVersionUID = 1;
    private static final String SAID =
            "this form cannot be read; expected the Content-Type of what is sent, such as image/png or application/json"
                    + " (curl -H 'Content-Type: image/png' --data-binary @image.png)";

    HttpPostRequestDecoder$ErrorDataDecoderException() {
        throw new BadRequestException(SAID);
    }

    HttpPostRequestDecoder$ErrorDataDecoderException(String reason) {
        throw new BadRequestException(SAID);
    }

    HttpPostRequestDecoder$ErrorDataDecoderException(Throwable cause) {
        throw new BadRequestException(SAID);
    }

    HttpPostRequestDecoder$ErrorDataDecoderException(String reason, Throwable cause) {
        throw new BadRequestException(SAID);
    }
}
