"""A local AWS for tests: moto on loopback, in which a training job of SageMaker really runs.

A double, since no test may need an account: the answers of AWS are moto's (S3, CloudWatch Logs, IAM, STS,
CloudFormation, Secrets Manager) or written here (training jobs), every request to SageMaker is held against botocore's
own model of the service, and each job's hosts are namespaces of this computer (`machine.py`), in which the real
command runs.

A test takes the fixture `aws`, a fresh account in the region us-east-1 with a bucket and a role, which is skipped where
this computer does not allow namespaces (root on Linux with `unshare`):

    aws.url             http://127.0.0.1:<port>, the endpoint of every service
    aws.environment     what a process needs to use it and nothing else: AWS_ENDPOINT_URL, keys, region, the SDK's
                        settings. Already set in os.environ of the test (monkeypatch), so that
                        boto3.client("s3") or a command in a subprocess needs nothing
    aws.bucket          "okkhor-test"; aws.role: the ARN of a role that SageMaker may assume
    aws.client("s3")    a boto3 client of it; aws.session: a boto3 session
    aws.requests        (operation, request) of every request to SageMaker, in their order; aws.created: the names of
                        its training jobs
    aws.fail(operation, code, times=1, message=…)
                        the next `times` requests of an operation (`CreateTrainingJob`, `PutObject` …, or "*") are
                        refused with that code: ThrottlingException, ResourceLimitExceeded, AccessDeniedException …
    aws.expire_credentials()
                        from now on every request is refused as AWS does with an expired token; aws.renew_credentials()
    aws.wait(job)       wait until a job has ended; returns its DescribeTrainingJob
    aws.until(job, "Training", line=None)
                        wait until its secondary status is that, and its logs have a line that holds `line`
    aws.interrupt(job)  take the machines of a spot job away: they are killed, and new ones start with what was in
                        the checkpoints' bucket; raises AssertionError for a job that is not on spot
    aws.logs(job)       all its lines of CloudWatch so far, by host: {"algo-1": […], …}
    aws.grace           seconds between SIGTERM and SIGKILL for a job that is stopped (SageMaker: 120)

`aws.requests` (the module) makes requests without a launcher.

A container finds only what it gets: its command, environment, channels, and this computer's Python with its packages
(`python` on its PATH), but not the checkout: `import okkhor` works only from the source that the job was sent. It
reaches the local AWS (AWS_ENDPOINT_URL is in its environment) unless EnableNetworkIsolation is set. A channel in
FastFile mode cannot be written to. Where the request names no entry point, `train` of the real toolkit runs (make
setup-servers). A stop is sent as SIGTERM to process 1 of the container and to no other, as Docker does; process 1
ignores it unless it handles it. A checkpoint folder (`/opt/ml/checkpoints`) is brought to S3 once a second while the
job runs and at its end.
"""
